"""The stream is read into the projection once, from where the last reading stopped."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie import BrokerUnavailable
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.gaps import Gap, Loss, open_gaps
from saga_monitor.records.parser import EventEntry
from saga_monitor.stream import follower, resuming
from saga_monitor.stream.follower import split_runs
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import (
    ASKED,
    CONFIRMED,
    CREATED,
    HELD,
    PAID,
    PLACED,
    SCENARIOS,
    START,
    Line,
    Stream,
    event_bytes,
)
from tests.support.order_saga import PARSER, order_with

if TYPE_CHECKING:
    from pathlib import Path


def publish_all(stream: Stream) -> None:
    stream.add(b"garbage", "client.events")
    stream.retry("paiement", event_bytes("CMD-0", HELD[1]))
    stream.set_aside("paiement", event_bytes("CMD-0", HELD[1]), "invalid")
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", lines)


def updated_by_delta(monitor: Monitor) -> dict[str, int]:
    """The totals except those for metrics, which only grow and keep states that an order has left."""
    kept = ("state.", "flag.", "awaited.", "said.", "dead.", "ignored.")
    names = {"instances", "at_rest", "events", "duplicates", "retries", "dead_letters"}
    counts = monitor.queries.totals(SOON).counts
    return {name: value for name, value in counts.items() if name in names or name.startswith(kept)}


async def test_every_kind_of_order_ends_where_it_should(stream: Stream, monitor: Monitor) -> None:
    publish_all(stream)
    await monitor.read(stream)
    states = {order.key: order.state for order in monitor.queries.instances(None, 100, SOON)}
    assert states == {f"CMD-{n}": State.COMPLETED if n == 0 else State.COMPENSATED for n in range(len(SCENARIOS))}
    totals = monitor.queries.totals(SOON)
    assert totals.count("ignored.unreadable") == totals.count("retries") == totals.count("dead_letters") == 1
    assert (totals.instances, totals.in_flight, totals.stuck) == (len(SCENARIOS), 0, 0)


async def test_a_projection_rebuilt_from_the_stream_equals_the_live_one(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One monitor reads each entry as it arrives; another reads all at once, in batches of any size."""
    live = Monitor(tmp_path / "live.sqlite3")
    whole = Stream()
    publish_all(whole)
    clock = START
    with monkeypatch.context() as patch:
        patch.setattr(follower, "_now", lambda: clock)
        for entry in whole.kept:
            record = PARSER.parse(entry, SOON + dt.timedelta(hours=1))
            clock = max(clock, record.at) if isinstance(record, EventEntry) else clock
            stream.kept.append(entry)
            await live.read(stream)
    for batch in (1, 3, 1000):
        rebuilt = Monitor(tmp_path / f"rebuilt-{batch}.sqlite3")
        whole.batch = batch
        await rebuilt.read(whole)
        assert rebuilt.known() == live.known()
        assert updated_by_delta(rebuilt) == updated_by_delta(live)
        assert rebuilt.queries.times() == live.queries.times()
        rebuilt.close()
    live.close()


async def test_reading_resumes_exactly_where_it_stopped(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    stream.publish("CMD-1", CREATED[len(HELD) :])
    await monitor.read(stream)
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).count("events") == len(CREATED)
    assert monitor.queries.totals(SOON).count("duplicates") == 0
    assert monitor.notices == []


async def test_a_batch_is_all_or_nothing(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash between events and position, neither is in the file."""
    stream.publish("CMD-1", HELD)

    def broken(*_: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("saga_monitor.projection.projection._row", broken)
        with pytest.raises(RuntimeError):
            await monitor.read(stream)
    assert monitor.store.position().last is None
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).count("events") == len(HELD)


async def test_an_event_said_twice_counts_once(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    assert (order.state, order.flags, order.at_rest) == (State.COMPLETED, (), True)
    assert monitor.queries.totals(SOON).count("duplicates") == len(CONFIRMED)
    assert monitor.queries.times()["stock"].count == 1


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


async def test_ten_malformed_entries_do_not_stop_the_reading(stream: Stream, monitor: Monitor) -> None:
    for number in range(10):
        stream.add(bytes([number, 255]), "client.events")
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).ignored == 10
    assert monitor.queries.totals(SOON).instances == 1


async def test_a_dead_letter_given_up_raises_a_flag_that_a_redrive_ends(stream: Stream, monitor: Monitor) -> None:
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]), None)
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    assert (order.flags, order.dead_letters) == ((Flag.INTERVENTION,), 1)
    assert monitor.queries.totals(SOON).flag(Flag.INTERVENTION) == 1
    assert [o.key for o in monitor.queries.urgent(5, SOON)] == ["CMD-1"]
    stream.publish("CMD-1", PAID[len(HELD) :])
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).flag(Flag.INTERVENTION) == 0
    assert monitor.queries.urgent(5, SOON) == []


async def test_a_silent_order_becomes_stuck_until_its_next_entry(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    stream.publish("CMD-2", CONFIRMED)
    stream.publish("CMD-3", [ASKED])
    await monitor.read(stream)
    later = START + dt.timedelta(seconds=61)
    assert monitor.queries.totals(later).stuck == 1
    assert [o.flags for o in monitor.queries.flagged(Flag.STUCK, 5, later)] == [(Flag.STUCK,)]
    stream.publish("CMD-1", [Line("paiement.effectue", "stock.reserve", 60_000)])
    await monitor.read(stream)
    assert monitor.queries.totals(later).stuck == 0


async def test_two_orders_may_use_the_same_event_ids(stream: Stream, monitor: Monitor) -> None:
    """Two clients both number their events from one."""
    for order in ("CMD-1", "CMD-2"):
        stream.add(
            event_bytes(order, PLACED[0]).replace(f"{order}/commande.initiee".encode(), b"1"), "client.events"
        )
    await monitor.read(stream)
    assert monitor.queries.totals(SOON).instances == 2


def test_a_run_contains_each_order_at_most_once(stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    stream.publish("CMD-2", HELD)
    truncate = [
        [record.offset for _, record in run]
        for run in split_runs((entry, PARSER.parse(entry, SOON)) for entry in stream.kept)
    ]
    assert truncate == [[0], [1, 2], [3]]
