"""Entries are dated by their speaker's clock, within what the reading knows."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.topology import events
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.records.timestamps import EntryClock
from tests.saga_monitor.conftest import STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import HELD, KNOWN, PLACED, START, UNPAID, Line, Stream, event_bytes, undone
from tests.support.order_saga import order_with

if TYPE_CHECKING:
    from pathlib import Path

HOUR, SECOND = dt.timedelta(hours=1), dt.timedelta(seconds=1)


def real() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def timeless(stream: Stream, commande_id: str, line: Line) -> None:
    """Adds an event without a time to `stream`."""
    envelope = json.loads(event_bytes(commande_id, line))
    del envelope["time"]
    stream.add(json.dumps(envelope).encode(), events(KNOWN[line.type].SAID_BY))


def skews(monitor: Monitor) -> list[tuple[str, str, int]]:
    """The clock differences found, in whole hours."""
    rows = monitor.queries.ask("SELECT cause, effect, worst_ms FROM skews ORDER BY cause, effect")
    return [(cause, effect, round(ms / 3_600_000)) for cause, effect, ms in rows]


@pytest.mark.parametrize(
    ("time", "since", "before", "dated"),
    [
        (START, None, None, START),
        (START + HOUR, None, None, START + SECOND),
        (None, None, None, START + SECOND),
        (None, None, START - HOUR, START - HOUR),
        (START - HOUR, START, None, START),
        (START - SECOND, START, None, START - SECOND),
        (None, START, START - HOUR, START),
        (START, START + HOUR, None, START + SECOND),
    ],
)
def test_a_speaker_s_clock_is_used_within_what_the_reading_knows(
    time: dt.datetime | None, since: dt.datetime | None, before: dt.datetime | None, dated: dt.datetime
) -> None:
    dating = EntryClock(START + SECOND, since, before)
    assert dating.of(time) == dated
    assert dating.of(None) == dated


@pytest.mark.parametrize("lines", [PLACED, HELD])
async def test_an_entry_first_read_now_counts_as_heard_now(
    stream: Stream, monitor: Monitor, lines: list[Line]
) -> None:
    """However late the sender's clock is: the stream had been read to its end before."""
    stream.publish("CMD-OLD", PLACED, real() - 2 * HOUR)
    await monitor.read(stream)
    stream.publish("CMD-NEW", lines, real() - 2 * HOUR)
    await monitor.read(stream)
    silent = monitor.queries.silent(START, real() - STUCK_AFTER * SECOND, 10, real())
    assert [(order.key, order.flags) for order in silent] == [("CMD-OLD", (Flag.STUCK,))]


async def test_a_client_whose_orders_come_dated_hours_ago_has_a_wrong_clock(
    stream: Stream, monitor: Monitor
) -> None:
    await monitor.read(stream)
    stream.publish("CMD-1", PLACED, real() - 2 * HOUR)
    await monitor.read(stream)
    assert skews(monitor) == [("monitor", "client", 2)]


async def test_an_order_repeated_hours_later_shows_no_wrong_clock(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", PLACED, real() - 2 * HOUR)
    await monitor.read(stream)
    stream.publish("CMD-1", PLACED, real() - 2 * HOUR)
    await monitor.read(stream)
    assert skews(monitor) == []


async def test_an_order_answered_days_later_shows_a_wrong_clock_also_after_a_rebuild(
    stream: Stream, monitor: Monitor
) -> None:
    stream.publish("CMD-1", PLACED)
    stream.publish("CMD-1", HELD[1:], START + 48 * HOUR)
    await monitor.read(stream)
    assert skews(monitor) == [("stock", "client", 48)]


async def test_a_service_whose_clock_is_ahead_is_noticed_though_nothing_answers_it(
    stream: Stream, monitor: Monitor
) -> None:
    stream.publish("CMD-1", HELD, real() - SECOND)
    stream.publish("CMD-1", [Line("paiement.echoue", "stock.reserve")], real() + HOUR)
    await monitor.read(stream)
    assert skews(monitor) == [("paiement", "monitor", 1)]


async def test_a_time_days_in_the_future_is_not_measured(stream: Stream, monitor: Monitor) -> None:
    told = [*UNPAID, *undone("paiement.echoue")[:2]]
    stream.publish("CMD-1", told, real() - SECOND)
    stream.publish("CMD-1", [Line("paiement.rembourse", "commande.annulee")], real() + 72 * HOUR)
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), real())
    assert order is not None
    assert order.duration_ms == 550
    assert [step.undoing_ms for step in order.steps] == [50, None, None, None]
    assert skews(monitor) == [("paiement", "monitor", 72)]


async def test_an_event_without_a_time_is_dated_by_its_predecessor(stream: Stream, tmp_path: Path) -> None:
    """So a projection rebuilt hours later equals the live one."""
    stream.publish("CMD-1", PLACED)
    timeless(stream, "CMD-2", PLACED[0])
    for name in ("one", "other"):
        monitor = Monitor(tmp_path / f"{name}.sqlite3")
        await monitor.read(stream)
        order = monitor.queries.instance(order_with("CMD-2"), real())
        assert order is not None
        assert order.heard == START
        monitor.close()
