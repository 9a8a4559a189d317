"""The stream told as it was said ends where it ended when it was opened, whatever its events' clocks say."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie import BrokerUnavailable
from saga_monitor.stream.history_reader import Wanted, wanted_entries
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, START, Line, Stream
from tests.support.order_saga import SAGAS
from tests.support.several_sagas import SEVERAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Literal

    from choregraphie.messaging import HistoryEntry

NOW = START + dt.timedelta(hours=1)
TOMORROW = START + dt.timedelta(days=1)


class Busy(Stream):
    """A stream to which somebody adds an order of now whenever it is read."""

    async def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        async for batch in super().entries(start):
            yield batch
            self.publish(f"NEWER-{self.next}", PLACED, NOW + dt.timedelta(seconds=1))


async def told(stream: Stream, since: dt.datetime | None = None) -> list[int]:
    return [
        entry.offset
        async for entry, _ in wanted_entries(stream, SAGAS, Wanted(since=since), follow=False, now=NOW)
    ]


@pytest.mark.parametrize("kind", [Stream, Busy])
async def test_an_event_dated_in_the_future_ends_nothing(kind: type[Stream]) -> None:
    stream = kind()
    stream.publish("FUTURE", PLACED, TOMORROW)
    stream.publish("CMD-1", CONFIRMED)
    assert await told(stream) == list(range(1 + len(CONFIRMED)))


async def test_one_key_is_told_of_one_saga_or_of_all(stream: Stream) -> None:
    stream.publish("SAME", HELD)
    stream.publish("SAME", [Line("retour.demande")])
    stream.publish("OTHER", [Line("retour.demande")])

    async def offsets(wanted: Wanted) -> list[int]:
        told = wanted_entries(stream, SEVERAL.saga_set, wanted, follow=False, now=NOW)
        return [entry.offset async for entry, _ in told]

    assert await offsets(Wanted(key="SAME")) == [0, 1, 2]
    assert await offsets(Wanted(saga="retour", key="SAME")) == [2]
    assert await offsets(Wanted(saga="retour")) == [2, 3]


async def test_what_is_said_while_it_is_told_belongs_to_the_next_telling() -> None:
    stream = Busy()
    stream.publish("CMD-1", HELD)
    stream.batch = 1
    assert await told(stream) == [0, 1]


async def test_what_the_broker_has_not_counted_yet_is_told_all_the_same() -> None:
    stream = Stream()
    stream.lag = 3
    stream.publish("CMD-1", CONFIRMED)
    assert await told(stream) == list(range(len(CONFIRMED)))


@pytest.mark.parametrize("since", [None, START])
async def test_a_silence_in_the_middle_is_not_the_end(since: dt.datetime | None) -> None:
    stream = Stream()
    stream.pauses, stream.batch = 3, 2
    stream.publish("CMD-1", CONFIRMED)
    assert await told(stream, since) == list(range(len(CONFIRMED)))


async def test_a_stream_that_stops_in_the_middle_is_said_to() -> None:
    stream = Stream()
    stream.publish("CMD-1", CONFIRMED)
    stream.withheld = 2
    with pytest.raises(BrokerUnavailable, match="goes on after entry 2"):
        await told(stream)


class Late(Stream):
    """A stream that has nothing from a time on, as a real one may."""

    def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        return super().entries(self.next if isinstance(start, dt.datetime) else start)


async def test_nothing_since_a_time_is_an_answer() -> None:
    stream = Late()
    stream.publish("CMD-1", CONFIRMED)
    assert await told(stream, NOW) == []
    stream.withheld = 1
    with pytest.raises(BrokerUnavailable):
        await told(stream, NOW)
