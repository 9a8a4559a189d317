"""While a service holds its inbox, what waits for it is HELD: why, since when, and one anomaly for all."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from choregraphie.saga.envelope import Instance
from choregraphie.saga.topology import (
    DETAIL_HEADER,
    HOLD_HEADER,
    HOLD_KEY,
    NEXT_HEADER,
    OUTSIDE_HEADER,
    SINCE_HEADER,
    UNTIL_HEADER,
    retry,
)
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.diagnosis.anomalies import Kind, Thresholds, anomalies_of, anomalies_of_instance
from saga_monitor.projection.search import InstanceFilter
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, START, event_bytes, undone
from tests.support.order_saga import COMMAND

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

TERMS = Thresholds(60, 3, command=COMMAND)
MINUTE = dt.timedelta(minutes=1)


def hold(stream: Stream, at: dt.datetime, *, is_open: bool = True, since: dt.datetime = START) -> None:
    """The notice of `paiement` at that time; the next is due 15 s later."""
    headers = {
        OUTSIDE_HEADER: "the card gateway",
        HOLD_HEADER: "open" if is_open else "closed",
        SINCE_HEADER: since.isoformat(),
        UNTIL_HEADER: (since + 60 * MINUTE).isoformat(),
        NEXT_HEADER: (at + dt.timedelta(seconds=15)).isoformat(),
        DETAIL_HEADER: "OutsideUnavailable: ConnectError",
    }
    stream.add(b"", retry("paiement"), headers, at, HOLD_KEY)


def flags(monitor: Monitor, key: str, now: dt.datetime) -> tuple[Flag, ...]:
    found = monitor.queries.instance(Instance("commande", key), now)
    assert found is not None
    return found.flags


async def test_what_waits_for_the_service_is_held_and_not_stuck(monitor: Monitor, stream: Stream) -> None:
    stream.publish("WAITS", HELD)
    stream.publish("EARLIER", PLACED)
    stream.publish("DONE", CONFIRMED)
    now = START + 10 * MINUTE
    hold(stream, now)
    await monitor.read(stream)
    assert flags(monitor, "WAITS", now) == (Flag.HELD,)
    assert flags(monitor, "EARLIER", now) == (Flag.STUCK,)
    assert flags(monitor, "DONE", now) == ()


async def test_an_undoing_is_held_too(monitor: Monitor, stream: Stream) -> None:
    stream.publish("UNDOING", [*CONFIRMED, *undone("commande.annulation_demandee")[:1]])
    now = START + MINUTE
    hold(stream, now)
    await monitor.read(stream)
    assert Flag.HELD in flags(monitor, "UNDOING", now)


async def test_what_was_given_up_needs_a_person_and_is_not_held(monitor: Monitor, stream: Stream) -> None:
    lines = [*HELD, *undone("commande.annulation_demandee")[:1]]
    stream.publish("GIVEN-UP", lines)
    stream.set_aside("paiement", event_bytes("GIVEN-UP", lines[-1]))
    now = START + MINUTE
    hold(stream, now)
    await monitor.read(stream)
    assert Flag.INTERVENTION in flags(monitor, "GIVEN-UP", now)
    assert Flag.HELD not in flags(monitor, "GIVEN-UP", now)
    assert monitor.queries.flagged(Flag.HELD, 9, now) == []


async def test_every_list_and_count_knows_the_flag(monitor: Monitor, stream: Stream) -> None:
    stream.publish("WAITS", HELD)
    now = START + 10 * MINUTE
    hold(stream, now)
    await monitor.read(stream)
    queries = monitor.queries
    assert (queries.totals(now).flag(Flag.HELD), queries.totals(now).flag(Flag.STUCK)) == (1, 0)
    assert [one.key for one in queries.flagged(Flag.HELD, 9, now)] == ["WAITS"]
    assert queries.flagged(Flag.STUCK, 9, now) == []
    assert [one.key for one in queries.search("wai", InstanceFilter(flag=Flag.HELD), 9, now)] == ["WAITS"]
    assert queries.search("wai", InstanceFilter(flag=Flag.STUCK), 9, now) == []


async def test_a_hold_that_is_closed_or_whose_worker_says_no_more_is_over(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("WAITS", HELD)
    now = START + 10 * MINUTE
    hold(stream, now)
    await monitor.read(stream)
    assert flags(monitor, "WAITS", now + MINUTE) == (Flag.STUCK,)
    hold(stream, now + MINUTE)
    await monitor.read(stream)
    assert flags(monitor, "WAITS", now + MINUTE) == (Flag.HELD,)
    hold(stream, now + MINUTE, is_open=False)
    await monitor.read(stream)
    assert flags(monitor, "WAITS", now + MINUTE) == (Flag.STUCK,)


async def test_one_anomaly_stands_for_all_and_says_why_and_since_when(monitor: Monitor, stream: Stream) -> None:
    for number in range(3):
        stream.publish(f"WAITS-{number}", HELD)
    now = START + 10 * MINUTE
    hold(stream, now, since=START + MINUTE)
    await monitor.read(stream)
    (found,) = anomalies_of(monitor.queries, None, now, TERMS)
    assert (found.kind, found.service, found.reason) == (Kind.HELD, "paiement", "outside_down")
    assert found.since == START + MINUTE
    assert found.sentence.startswith(
        "the card gateway is down (OutsideUnavailable: ConnectError): paiement holds its"
    )
    assert "3 orders wait" in found.sentence
    (one,) = anomalies_of_instance(monitor.queries, Instance("commande", "WAITS-1"), None, now, TERMS)
    assert (one.kind, one.key, one.since) == (Kind.HELD, "WAITS-1", START + MINUTE)


async def test_a_clock_that_is_ahead_does_not_prolong_a_hold(monitor: Monitor, stream: Stream) -> None:
    stream.publish("WAITS", HELD)
    hold(stream, START + dt.timedelta(days=365))
    await monitor.read(stream)
    assert monitor.queries.holds(dt.datetime.now(dt.UTC) + MINUTE) == []
