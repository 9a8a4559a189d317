"""A stream that was replaced, emptied, trimmed or not delivered is noticed, and what was known stays known."""

from __future__ import annotations

import datetime as dt

import pytest

from choregraphie import BrokerUnavailable
from saga_monitor.analysis.saga_state import State
from saga_monitor.projection.gaps import Gap, Loss, open_gaps
from saga_monitor.stream import resuming
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import ASKED, CONFIRMED, HELD, PLACED, START, Stream, event_bytes
from tests.support.order_saga import order_with


@pytest.mark.parametrize("longer", [False, True])
async def test_a_recreated_stream_is_noticed_and_read_from_its_start(
    stream: Stream, monitor: Monitor, *, longer: bool
) -> None:
    """The new stream may be shorter or longer than what was read of the old one."""
    stream.publish("OLD", CONFIRMED)
    await monitor.read(stream)
    stream.recreate()
    stream.publish("NEW", PLACED)
    if longer:
        stream.publish("NEWER", CONFIRMED + [ASKED] * 3)
    await monitor.read(stream)
    assert [order.key for order in monitor.queries.instances(None, 9, SOON)][-2:] == ["NEW", "OLD"]
    assert monitor.queries.totals(SOON).state(State.COMPLETED) == 1 + longer
    assert "starting again" in monitor.notices[0]
    assert [gap.loss for gap in gaps(monitor)] == [Loss.REPLACED]
    stream.publish("LATER", PLACED)
    await monitor.read(stream)
    assert monitor.queries.instances(None, 1, SOON)[0].key == "LATER"
    assert len(monitor.notices) == 1


def gaps(monitor: Monitor) -> list[Gap]:
    return open_gaps(monitor.queries, START)


async def test_dead_letters_of_two_streams_at_the_same_offset_are_two(stream: Stream, monitor: Monitor) -> None:
    for number in (1, 2):
        stream.set_aside("paiement", event_bytes(f"CMD-{number}", HELD[1]))
        await monitor.read(stream)
        stream.recreate()
    assert monitor.queries.totals(SOON).count("dead_letters") == 2


async def test_an_emptied_stream_is_noticed(stream: Stream, monitor: Monitor) -> None:
    stream.publish("OLD", CONFIRMED)
    await monitor.read(stream)
    stream.recreate()
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).instances == 1
    assert "empty" in monitor.notices[0]
    stream.publish("NEW", CONFIRMED)
    await monitor.read(stream)
    assert (monitor.queries.totals(SOON).instances, len(gaps(monitor))) == (2, 1)


async def test_a_stream_that_ends_before_what_was_read_is_noticed(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream restored from an older copy has the same start and fewer entries."""
    monkeypatch.setattr(resuming, "RECOGNITION_SECONDS", 0.05)
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    del stream.kept[3:]
    stream.next = 3
    await monitor.read(stream)
    assert "ends before" in monitor.notices[0]
    assert monitor.queries.totals(SOON).count("events") == len(CONFIRMED)
    assert [gap.loss for gap in gaps(monitor)] == [Loss.REPLACED]


async def test_a_silent_broker_deletes_nothing(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last entry read is not delivered for long, but the broker says that it exists."""
    monkeypatch.setattr(resuming, "RECOGNITION_SECONDS", 0.02)
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    stream.withheld = len(CONFIRMED)
    with pytest.raises(BrokerUnavailable):
        await monitor.read(stream)
    assert monitor.queries.totals(SOON).instances == 1
    stream.withheld = 0
    stream.publish("CMD-2", CONFIRMED)
    await monitor.read(stream)
    assert (monitor.queries.totals(SOON).instances, monitor.notices) == (2, [])


async def test_a_trimmed_stream_is_the_same_stream(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    stream.trim(3)
    stream.publish("CMD-2", PLACED)
    await monitor.read(stream)
    assert monitor.notices == []
    assert monitor.queries.totals(SOON).instances == 2
    stream.trim(1)
    await monitor.read(stream)
    assert monitor.notices == []


async def test_a_stream_trimmed_past_the_last_read_entry_is_reported(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    stream.publish("CMD-2", CONFIRMED)
    stream.trim(3)
    await monitor.read(stream)
    assert "trimmed" in monitor.notices[0]
    assert monitor.queries.instance(order_with("CMD-1"), SOON) is not None
    (gap,) = gaps(monitor)
    assert (gap.loss, gap.lost, gap.offset) == (Loss.TRIMMED, 2, 3)
    assert gap.until == START + dt.timedelta(milliseconds=CONFIRMED[2].ms)
    assert "2 events were lost unread" in monitor.notices[0]
    await monitor.read(stream)
    assert len(gaps(monitor)) == len(monitor.notices) == 1


async def test_nothing_is_lost_of_a_stream_trimmed_up_to_the_last_read_entry(
    stream: Stream, monitor: Monitor
) -> None:
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    stream.trim(len(CONFIRMED))
    stream.publish("CMD-2", PLACED)
    await monitor.read(stream)
    assert (monitor.queries.totals(SOON).instances, gaps(monitor), monitor.notices) == (2, [], [])


async def test_one_event_lost_unread_is_one_event_lost(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    stream.publish("CMD-2", CONFIRMED)
    stream.trim(2)
    await monitor.read(stream)
    assert [gap.lost for gap in gaps(monitor)] == [1]


async def test_a_new_file_reports_that_the_stream_has_lost_its_beginning(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.trim(2)
    await monitor.read(stream)
    (gap,) = gaps(monitor)
    assert (gap.loss, gap.lost, gap.offset) == (Loss.BEGINNING, None, 2)
    assert "begins at entry 2" in monitor.notices[0]


async def test_entries_dropped_under_a_slow_reader_are_lost(stream: Stream, monitor: Monitor) -> None:
    """The stream drops unread entries while the connection lasts; the broker itself uses single offsets."""
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-2", CONFIRMED)
    del stream.kept[1]
    del stream.kept[3:6]
    await monitor.read(stream)
    assert [(gap.loss, gap.lost) for gap in gaps(monitor)] == [(Loss.TRIMMED, 3)]
