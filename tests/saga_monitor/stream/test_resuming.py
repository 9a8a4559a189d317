"""The stream is read into the projection once, from where the last reading stopped."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.records.parser import EventEntry
from saga_monitor.stream import follower
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
    runs = [
        [record.offset for _, record in run]
        for run in split_runs((entry, PARSER.parse(entry, SOON)) for entry in stream.kept)
    ]
    assert runs == [[0], [1, 2], [3]]
