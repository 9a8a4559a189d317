"""Contradictions, events that are not allowed, repeated ids, and clocks that differ."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.topology import events
from saga_monitor.diagnosis.anomalies import Kind, anomalies_of_instance
from tests.saga_monitor.diagnosis.test_anomalies import LATER, TERMS, broker, found, wrong
from tests.saga_monitor.memory_stream import (
    ASKED,
    CONFIRMED,
    HELD,
    PAID,
    PLACED,
    SCENARIOS,
    START,
    Line,
    event_bytes,
    undone,
)
from tests.support.order_saga import order_with

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

NOTHING = {"reservation_id": None}


@pytest.mark.parametrize(
    ("lines", "reason", "words"),
    [
        ([*CONFIRMED, Line("commande.creee", id="2")], "said_twice", "commande said commande.creee twice"),
        ([*CONFIRMED, Line("paiement.effectue", id="2")], "said_twice", "paiement said paiement.effectue twice"),
        (
            [*SCENARIOS["refused by payment"], Line("commande.annulee", None, id="2")],
            "said_twice",
            "commande said commande.annulee twice",
        ),
        (
            [*SCENARIOS["refused by payment"], Line("paiement.effectue", "stock.reserve", 400)],
            "two_answers",
            "paiement said both paiement.echoue and paiement.effectue in answer to one event",
        ),
        (
            [*HELD, Line("stock.reservation_echouee", None, 200), *undone("stock.reservation_echouee")],
            "two_answers",
            "stock said both stock.reservation_echouee and stock.reserve of one order",
        ),
        (
            [*PAID, *undone("commande.initiee"), Line("commande.creee", "paiement.effectue", 900), CONFIRMED[-1]],
            "two_answers",
            "commande said both commande.annulee and commande.creee of one order",
        ),
        (
            [*SCENARIOS["refused by payment"], Line("commande.creee", "commande.initiee", 900), CONFIRMED[-1]],
            "created_though_refused",
            "commande said commande.creee, and paiement had said paiement.echoue",
        ),
        (
            [*SCENARIOS["refused by payment"], Line("notification.envoyee", None, 900, CONFIRMED[-1].data)],
            "no_such_decision",
            "notification said notification.envoyee, which answers commande.creee, and commande never said that",
        ),
    ],
)
async def test_contradictions(
    monitor: Monitor, stream: Stream, lines: list[Line], reason: str, words: str
) -> None:
    stream.publish("CMD-1", lines)
    (anomaly,) = await wrong(monitor, stream, broker())
    assert (anomaly.kind, anomaly.reason) == (Kind.CONTRADICTION, reason)
    assert f"CMD-1: {words}; compare the journal of" in anomaly.sentence


async def test_an_undoing_of_an_order_that_was_created_and_never_cancelled(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", [*CONFIRMED, Line("stock.libere", None, 500)])
    stream.publish("UNDECIDED", [*HELD, Line("stock.libere", None, 500)])
    found_ = await wrong(monitor, stream, broker())
    assert [(a.key, a.reason) for a in found_ if a.kind == Kind.CONTRADICTION] == [("CMD-1", "no_such_decision")]


async def test_a_cancellation_on_demand_may_come_before_or_after_a_creation(
    monitor: Monitor, stream: Stream
) -> None:
    """Events of two workers of the decider may arrive in any order."""
    cancelled = undone("commande.annulation_demandee", modele="rectificatif")
    stream.publish("CMD-1", [*PAID, ASKED, *cancelled, *CONFIRMED[3:]])
    assert await wrong(monitor, stream, broker()) == []


@pytest.mark.parametrize("late_first", [False, True])
async def test_an_action_after_its_tombstone_in_whatever_order_it_is_heard(
    monitor: Monitor, stream: Stream, late_first: bool
) -> None:
    """The undoing found nothing, and yet the action was published; clocks and arrival order do not matter."""
    cancelled = undone("stock.reserve")
    cancelled[1] = replace(cancelled[1], data=NOTHING)
    lines = [*PLACED, *cancelled]
    lines.insert(1 if late_first else 4, Line("stock.reserve", "commande.initiee", 5000))
    stream.publish("CMD-1", lines)
    anomalies = await wrong(monitor, stream, broker())
    assert ("contradiction", "stock", "after_tombstone") in found(anomalies)


async def test_a_second_message_for_the_second_decision_is_no_contradiction(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", SCENARIOS["cancelled after creation"])
    assert await wrong(monitor, stream, broker()) == []
    again = Line("notification.envoyee", "commande.creee", 900, {"modele": "confirmation"}, id="third")
    stream.publish("CMD-1", [again])
    assert found(await wrong(monitor, stream, broker())) == [("contradiction", "notification", "said_twice")]


async def test_an_answer_to_the_wrong_event_is_not_allowed(monitor: Monitor, stream: Stream) -> None:
    wrongly = [*PLACED, Line("paiement.effectue", "commande.initiee", 20), *CONFIRMED[1:2], *CONFIRMED[3:]]
    stream.publish("CMD-1", wrongly)
    (anomaly,) = await wrong(monitor, stream, broker())
    assert found([anomaly]) == [("not_allowed", "paiement", "wrong_cause")]
    assert "paiement said paiement.effectue in answer to commande.initiee, which the" in anomaly.sentence


async def test_a_word_by_another_s_exchange_is_not_allowed(monitor: Monitor, stream: Stream) -> None:
    stream.add(event_bytes("CMD-1", Line("paiement.effectue")), events("client"))
    now = dt.datetime.now(dt.UTC)
    (anomaly,) = await wrong(monitor, stream, broker(), now)
    assert found([anomaly]) == [("not_allowed", "client", "wrong_source")]
    assert "CMD-1: paiement.effectue from /services/paiement came by client.events" in anomaly.sentence


async def test_a_repeated_order(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", [*CONFIRMED, replace(PLACED[0], id="again", ms=5000)])
    (anomaly,) = await wrong(monitor, stream, broker())
    assert (anomaly.kind, anomaly.reason) == (Kind.REPEATED_START, "same_id")


@pytest.mark.parametrize(
    "lines",
    [
        [*CONFIRMED, Line("commande.creee", id="2")],
        [*PLACED, Line("paiement.effectue", "commande.initiee", 20), *CONFIRMED[1:2], *CONFIRMED[3:]],
        [*CONFIRMED, replace(PLACED[0], id="again", ms=5000)],
    ],
)
async def test_a_fact_that_nothing_ends_is_shown_for_a_day_and_after_that_with_its_order(
    monitor: Monitor, stream: Stream, lines: list[Line]
) -> None:
    stream.publish("CMD-1", lines)
    (fresh,) = await wrong(monitor, stream, broker(), START + dt.timedelta(hours=23))
    later = START + dt.timedelta(hours=25)
    assert await wrong(monitor, stream, broker(), later) == []
    assert anomalies_of_instance(monitor.queries, order_with("CMD-1"), broker(), later, TERMS) == [fresh]


async def test_clocks_that_differ_are_named_by_pair_and_only_beyond_a_second(
    monitor: Monitor, stream: Stream
) -> None:
    early = [*HELD, Line("paiement.effectue", "stock.reserve", -4900), *CONFIRMED[3:]]
    stream.publish("CMD-1", early)
    stream.publish("CMD-2", [*HELD, Line("paiement.effectue", "stock.reserve", -800), *CONFIRMED[3:]])
    (anomaly,) = await wrong(monitor, stream, broker())
    assert found([anomaly]) == [("clock_skew", "paiement", "against_stock")]
    assert "paiement says it answered stock 5.0 s before it was asked" in anomaly.sentence
    assert await wrong(monitor, stream, broker(), LATER + dt.timedelta(hours=2)) == []


async def test_a_skewed_pair_is_found_whichever_of_the_two_is_heard_first(
    monitor: Monitor, stream: Stream
) -> None:
    stream.batch = 1
    stream.publish("CMD-1", [Line("paiement.effectue", "stock.reserve", -4900)])
    stream.publish("CMD-1", [*HELD, *CONFIRMED[3:]])
    assert found(await wrong(monitor, stream, broker())) == [("clock_skew", "paiement", "against_stock")]
