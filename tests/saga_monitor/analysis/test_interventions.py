"""When a given-up message needs a person, and when silence does not mean that an order is stuck."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.topology import NEXT_HEADER
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.analysis.interventions import LONGEST_WAIT, back_at
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import durations
from saga_monitor.stream.maintenance import prune
from tests.saga_monitor.analysis.test_saga_state import heard
from tests.saga_monitor.memory_stream import (
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
    undone,
)
from tests.support.order_saga import evaluate

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor

TERMS = Thresholds(60, 6, keep=dt.timedelta(days=30))
SILENT = DeadLetter("stock", "commande.creee", "exhausted", "commande.creee", 50)  # stock sells and says nothing


def needs_person(lines: list[Line], *letters: DeadLetter, retried: tuple[Retry, ...] = ()) -> bool:
    return Flag.INTERVENTION in evaluate(heard(*lines), letters, retried).flags


def test_a_given_up_message_needs_a_person_until_a_retry_shows_that_it_was_sent_back() -> None:
    assert needs_person(CONFIRMED, SILENT)
    assert not needs_person(CONFIRMED, SILENT, retried=(Retry("stock", "commande.creee", 60),))
    assert needs_person(CONFIRMED, SILENT, retried=(Retry("stock", "commande.creee", 40),))
    again = DeadLetter("stock", "commande.creee", "exhausted", "commande.creee", 70)
    assert needs_person(CONFIRMED, SILENT, again, retried=(Retry("stock", "commande.creee", 60),))


def test_when_every_undoing_has_answered_only_the_cancellation_itself_can_need_a_person() -> None:
    cancelled = [*CONFIRMED, *undone(None, modele="rectificatif")]
    assert not needs_person(cancelled, SILENT)
    assert needs_person(cancelled[:-2], SILENT)
    untold = cancelled[:-1]
    assert needs_person(untold, DeadLetter("notification", "commande.annulee", "exhausted", "commande.annulee"))
    assert needs_person(cancelled, DeadLetter("stock", "unheard", "exhausted"))


@pytest.mark.parametrize(
    ("lines", "wanted"), [(PAID, True), (CREATED, False), (SCENARIOS["deadline passed"], False)]
)
def test_a_decision_for_another_reason_settles_a_given_up_message(lines: list[Line], *, wanted: bool) -> None:
    assert (
        needs_person(lines, DeadLetter("commande", "commande.initiee", "exhausted", "commande.initiee")) is wanted
    )


def test_the_creation_does_not_settle_a_given_up_cancellation() -> None:
    letter = DeadLetter("commande", "ask", "exhausted", "commande.annulation_demandee")
    assert needs_person([*CONFIRMED, Line("commande.annulation_demandee", id="ask")], letter)


def test_a_clock_far_ahead_does_not_make_an_order_wait_for_ever() -> None:
    assert back_at(None, START) == START
    assert back_at(START - dt.timedelta(days=1), START) == START
    assert back_at(START + dt.timedelta(days=400), START) == START + LONGEST_WAIT


async def test_an_order_whose_message_waits_for_a_retry_is_not_stuck(stream: Stream, monitor: Monitor) -> None:
    stream.publish("CMD-1", HELD)
    back = START + dt.timedelta(minutes=10)
    stream.retry("paiement", event_bytes("CMD-1", HELD[1]), {NEXT_HEADER: back.isoformat()})
    await monitor.read(stream)
    soon, late = START + dt.timedelta(minutes=9), back + dt.timedelta(seconds=61)
    assert monitor.queries.totals(soon).stuck == 0
    assert monitor.queries.flagged(Flag.STUCK, 5, soon) == []
    assert monitor.queries.totals(late).stuck == 1
    assert [order.flags for order in monitor.queries.flagged(Flag.STUCK, 5, late)] == [(Flag.STUCK,)]


async def test_orders_that_ended_long_ago_are_forgotten_with_their_counts(
    stream: Stream, monitor: Monitor
) -> None:
    later = START + dt.timedelta(days=40)
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"OLD-{number}", lines)
    stream.publish("OLD-OPEN", PLACED)
    stream.retry("stock", event_bytes("OLD-0", PLACED[0]))
    stream.set_aside("stock", event_bytes("OLD-0", PLACED[0]), "invalid")
    stream.set_aside("stock", b"\xff", "unreadable")
    stream.publish("NEW", CONFIRMED, later)
    await monitor.read(stream)
    prune(monitor.store, TERMS, START + dt.timedelta(days=60))
    now = later + dt.timedelta(seconds=1)
    assert {o.key for o in monitor.queries.instances(None, 10, now)} == {"NEW", "OLD-OPEN"}
    totals = monitor.queries.totals(now)
    assert (totals.instances, totals.in_flight) == (2, 1)
    assert totals.count("events") == len(CONFIRMED) + 1
    assert totals.count("retries") == totals.named("dead.").get("invalid", 0) == 0
    assert monitor.queries.times()[durations.WHOLE].count == 1
    await monitor.read(stream)
    assert monitor.notices == []


async def test_keys_without_a_beginning_are_forgotten_unless_a_message_was_given_up(
    stream: Stream, monitor: Monitor
) -> None:
    stream.publish("TAIL", CONFIRMED[-1:])
    stream.publish("UNDONE", undone(None)[1:2])
    stream.publish("HALF", undone(None)[:2])
    stream.publish("LOST", PAID[-1:])
    stream.set_aside("commande", event_bytes("LOST", PAID[-1]))
    await monitor.read(stream)
    now = START + TERMS.longest + dt.timedelta(minutes=1)
    prune(monitor.store, TERMS, START + TERMS.longest)
    assert {o.key for o in monitor.queries.instances(State.UNKNOWN, 10, now)} == {
        "TAIL",
        "UNDONE",
        "HALF",
        "LOST",
    }
    prune(monitor.store, TERMS, now)
    prune(monitor.store, TERMS, START + dt.timedelta(days=60))
    assert [o.key for o in monitor.queries.instances(State.UNKNOWN, 10, now)] == ["LOST"]
    totals = monitor.queries.totals(now)
    assert {name: n for name, n in totals.named("at_step.").items() if n} == {}
    assert (totals.instances, totals.in_flight, totals.flag(Flag.NO_BEGINNING)) == (0, 0, 1)
