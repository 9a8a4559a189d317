"""An outage hides no other anomaly and is counted in full, although only some of its orders are examined."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import NEXT_HEADER
from saga_monitor.alerting.rules import alerts_of
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.projection import case_queries
from tests.saga_monitor.diagnosis.test_anomalies import LATER, broker, wrong
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PAID, START, Line, event_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

MANY = case_queries.LOOKED_AT + 100


def outcome_counts(anomalies: Iterable[Anomaly]) -> dict[tuple[str, str | None, str], int]:
    counts: Counter[tuple[str, str | None, str]] = Counter()
    for anomaly in anomalies:
        counts[anomaly.kind, anomaly.service, anomaly.reason] += anomaly.count
    return dict(counts)


def publish_many(stream: Stream, count: int, lines: Sequence[Line], start: dt.datetime, name: str = "CMD") -> None:
    for number in range(count):
        stream.publish(f"{name}-{number}", lines, start)


async def test_a_later_trouble_is_seen_behind_an_outage_and_both_are_counted_whole(
    monitor: Monitor, stream: Stream
) -> None:
    publish_many(stream, MANY, HELD, START - dt.timedelta(hours=1))
    publish_many(stream, 50, PAID, START, "LATER")
    found = await wrong(monitor, stream, broker(paiement_inbox=QueueCount(MANY, 0)))
    assert outcome_counts(found) == {
        ("stuck", "paiement", "no_consumer"): MANY,
        ("stuck", "commande", "unresponsive"): 50,
    }
    assert len(found) == case_queries.LOOKED_AT
    alerts = alerts_of(found, LATER)
    assert {key: alert.count for key, alert in alerts.items()} == {
        "stuck/paiement/no_consumer": MANY,
        "stuck/commande/unresponsive": 50,
    }
    assert alerts["stuck/paiement/no_consumer"].since == START - dt.timedelta(hours=1, milliseconds=-100)


async def test_orders_that_wait_for_the_same_and_are_judged_differently_are_counted_apart(
    monitor: Monitor, stream: Stream
) -> None:
    """Events from before the last answer of the service never came; later ones are held."""
    publish_many(stream, MANY, HELD, START - dt.timedelta(minutes=10), "BEFORE")
    stream.publish("ANSWERED", CONFIRMED, START - dt.timedelta(minutes=5))
    publish_many(stream, MANY, HELD, START, "AFTER")
    publish_many(stream, MANY, HELD, LATER - dt.timedelta(seconds=30), "IN-TIME")
    assert outcome_counts(await wrong(monitor, stream, broker())) == {
        ("stuck", "paiement", "never_came"): MANY,
        ("stuck", "paiement", "unresponsive"): MANY,
    }


async def test_orders_asked_after_a_service_with_a_clock_ahead_was_heard_are_held(
    monitor: Monitor, stream: Stream
) -> None:
    publish_many(stream, MANY, HELD, START - dt.timedelta(minutes=10), "BEFORE")
    stream.publish("ANSWERED", CONFIRMED, START)
    publish_many(stream, MANY, HELD, START - dt.timedelta(minutes=10), "AFTER")
    assert outcome_counts(await wrong(monitor, stream, broker())) == {
        ("stuck", "paiement", "never_came"): MANY,
        ("stuck", "paiement", "unresponsive"): MANY,
    }


async def test_those_that_wait_for_another_try_are_told_from_those_that_do_not(
    monitor: Monitor, stream: Stream
) -> None:
    publish_many(stream, MANY, HELD, START)
    for number in range(MANY // 2):
        headers = {NEXT_HEADER: (LATER + dt.timedelta(minutes=5)).isoformat()}
        stream.retry("paiement", event_bytes(f"CMD-{number}", HELD[1]), headers)
    assert outcome_counts(await wrong(monitor, stream, broker())) == {
        ("stuck", "paiement", "retrying"): MANY // 2,
        ("stuck", "paiement", "unresponsive"): MANY - MANY // 2,
    }


@pytest.mark.parametrize("asked", [True, False])
async def test_a_flood_of_dead_letters_hides_no_other_reason(
    monitor: Monitor, stream: Stream, asked: bool
) -> None:
    stream.set_aside("stock", b"the older one", "wrong_sender")
    for number in range(MANY):
        stream.set_aside("stock", f"not JSON {number}".encode(), "unreadable")
    status = broker(stock_dlq=QueueCount(MANY + 1, 0)) if asked else None
    found = await wrong(monitor, stream, status)
    assert outcome_counts(found) == {
        ("dead_letter", "stock", "unreadable"): MANY,
        ("dead_letter", "stock", "wrong_sender"): 1,
    }
    assert len(found) <= case_queries.LOOKED_AT


async def test_more_contradictions_than_are_looked_at_are_counted(
    monitor: Monitor, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_queries, "LOOKED_AT", 5)
    publish_many(stream, 12, [*CONFIRMED, Line("commande.creee", id="2")], START)
    found = await wrong(monitor, stream, broker())
    assert [anomaly.kind for anomaly in found] == [Kind.CONTRADICTION] * 5
    assert outcome_counts(found) == {("contradiction", "commande", "said_twice"): 12}
    stream.publish("TODAY", [*CONFIRMED, Line("commande.creee", id="2")], START + dt.timedelta(hours=20))
    found = await wrong(monitor, stream, broker(), START + dt.timedelta(hours=30))
    assert outcome_counts(found)["contradiction", "commande", "said_twice"] == 1


async def test_a_reason_that_somebody_made_up_names_no_alert_of_its_own(monitor: Monitor, stream: Stream) -> None:
    for number in range(3):
        stream.set_aside("stock", b"bytes", f"because {number}")
    assert set(alerts_of(await wrong(monitor, stream, broker(stock_dlq=QueueCount(3, 0))), LATER)) == {
        "dead_letter/stock/other"
    }
