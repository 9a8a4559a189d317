"""Anomalies and their reasons, judged from a stream in memory; healthy orders have none."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import ATTEMPT_HEADER, DETAIL_HEADER, NEXT_HEADER, dlq, inbox
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.diagnosis.anomalies import (
    Anomaly,
    Kind,
    Thresholds,
    anomalies_of,
    anomalies_of_instance,
    as_json,
)
from saga_monitor.records.broker_status import BrokerStatus, read_broker_status
from tests.saga_monitor.conftest import SOON
from tests.saga_monitor.memory_stream import (
    CONFIRMED,
    CREATED,
    HELD,
    PAID,
    PLACED,
    SCENARIOS,
    START,
    UNPAID,
    Line,
    event_bytes,
    undone,
)
from tests.support.order_saga import COMMAND, SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

TERMS = Thresholds(60, 3, command=COMMAND)
LATER = START + dt.timedelta(seconds=100)
WELL = {name(s): QueueCount(0, 1 if name is inbox else 0) for s in CHOREOGRAPHY.services for name in (inbox, dlq)}


def broker(**queues: QueueCount | None) -> BrokerStatus:
    """A healthy broker except for these queues: `stock_inbox=QueueCount(…)`, None when it is missing."""
    named = {name.replace("_", "."): count for name, count in queues.items()}
    return BrokerStatus(LATER, {name: count for name, count in (WELL | named).items() if count is not None})


async def wrong(
    monitor: Monitor, stream: Stream, status: BrokerStatus | None = None, now: dt.datetime = LATER
) -> list[Anomaly]:
    await monitor.read(stream)
    return anomalies_of(monitor.queries, status, now, TERMS)


def found(anomalies: Sequence[Anomaly]) -> list[tuple[str, str | None, str]]:
    return [(anomaly.kind, anomaly.service, anomaly.reason) for anomaly in anomalies]


async def test_when_all_is_well_there_is_nothing_to_say(monitor: Monitor, stream: Stream) -> None:
    for number, scenario in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", scenario)
    assert await wrong(monitor, stream, broker()) == []
    assert await wrong(monitor, stream, None) == []


async def test_an_order_in_time_is_not_stuck(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    assert await wrong(monitor, stream, broker(), START + dt.timedelta(seconds=30)) == []


@pytest.mark.parametrize(
    ("asked", "reason", "words"),
    [
        (broker(paiement_inbox=None), "no_queue", "restart the worker of paiement, which declares it"),
        (broker(paiement_inbox=QueueCount(7, 0)), "no_consumer", "no consumer and 7 messages: start a worker"),
        (broker(paiement_inbox=QueueCount(7, 2)), "queued", "with 7 messages before it"),
        (broker(), "unresponsive", "look at the log of paiement"),
        (None, "unknown", "could not be asked"),
    ],
)
async def test_a_stuck_order_says_why(
    monitor: Monitor, stream: Stream, asked: BrokerStatus | None, reason: str, words: str
) -> None:
    stream.publish("CMD-1", HELD)
    (anomaly,) = await wrong(monitor, stream, asked)
    assert (anomaly.kind, anomaly.key, anomaly.service) == (Kind.STUCK, "CMD-1", "paiement")
    assert anomaly.reason == reason
    assert anomaly.since == START + dt.timedelta(milliseconds=100)
    assert "CMD-1 waits for paiement.effectue of paiement, silent for 1m 40s: " in anomaly.sentence
    assert words in anomaly.sentence


async def test_an_event_that_is_nowhere_while_others_are_answered_never_came(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", HELD)
    stream.publish("CMD-2", CONFIRMED, START + dt.timedelta(seconds=60))
    assert found(await wrong(monitor, stream, broker())) == [("stuck", "paiement", "never_came")]


def tried(stream: Stream, attempt: int, back: dt.datetime) -> None:
    headers = {ATTEMPT_HEADER: attempt, NEXT_HEADER: back.isoformat(), DETAIL_HEADER: "ConnectionError: gateway"}
    stream.retry("paiement", event_bytes("CMD-1", HELD[1]), headers)


async def test_a_message_that_waits_for_its_next_try_says_which_and_when(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    tried(stream, 1, START)
    tried(stream, 2, LATER + dt.timedelta(seconds=20))
    (anomaly,) = await wrong(monitor, stream, broker())
    assert anomaly.reason == "retrying"
    assert "try 2 of 3 failed (ConnectionError: gateway); the next is at 18:49:00 UTC" in anomaly.sentence


async def test_a_try_that_is_over_explains_nothing(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    tried(stream, 1, START)
    assert found(await wrong(monitor, stream, broker())) == [("stuck", "paiement", "unresponsive")]


async def test_a_message_given_up_is_named_at_once(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]))
    soon = START + dt.timedelta(seconds=1)
    stuck, letter = await wrong(monitor, stream, broker(paiement_dlq=QueueCount(1, 0)), soon)
    assert found([stuck, letter]) == [("stuck", "paiement", "set_aside"), ("dead_letter", "paiement", "exhausted")]
    assert "its stock.reserve is in paiement.dlq: every try failed; mend the cause" in stuck.sentence
    assert letter.sentence.startswith(
        "CMD-1: stock.reserve is in paiement.dlq: every try failed; mend the cause, then"
    )


async def test_a_dead_letter_that_was_sent_back_or_thrown_away_explains_nothing(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", HELD)
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]))
    assert await wrong(monitor, stream, broker(), START + dt.timedelta(seconds=1)) == []
    assert found(await wrong(monitor, stream, broker())) == [("stuck", "paiement", "unresponsive")]


async def test_dead_letters_are_those_that_the_queue_still_holds(monitor: Monitor, stream: Stream) -> None:
    stream.set_aside("stock", b"first", "unreadable")
    stream.set_aside("stock", event_bytes("CMD-1", PLACED[0]), "invalid")
    one = await wrong(monitor, stream, broker(stock_dlq=QueueCount(1, 0)))
    assert found(one) == [("dead_letter", "stock", "invalid")]
    more = await wrong(monitor, stream, broker(stock_dlq=QueueCount(9, 0)))
    assert [(anomaly.reason, anomaly.count) for anomaly in more] == [
        ("unreadable", 1),
        ("invalid", 1),
        ("not_in_history", 7),
    ]
    assert await wrong(monitor, stream, broker()) == []
    assert len(await wrong(monitor, stream, None)) == 2
    assert await wrong(monitor, stream, None, LATER + dt.timedelta(hours=2)) == []


async def test_a_dead_letter_that_was_sent_back_is_not_the_one_that_is_left(
    monitor: Monitor, stream: Stream
) -> None:
    """Three were sent back: one is being retried, one was answered, one was set aside again."""
    for number in range(4):
        stream.publish(f"CMD-{number}", HELD)
    for number in (0, 3, 1, 2):
        stream.set_aside("paiement", event_bytes(f"CMD-{number}", HELD[1]))
    stream.retry("paiement", event_bytes("CMD-1", HELD[1]))
    stream.publish("CMD-2", CONFIRMED[2:])
    stream.set_aside("paiement", event_bytes("CMD-3", HELD[1]))
    anomalies = await wrong(monitor, stream, broker(paiement_dlq=QueueCount(2, 0)), START)
    letters = [anomaly.key for anomaly in anomalies if anomaly.kind == Kind.DEAD_LETTER]
    assert sorted(map(str, letters)) == ["CMD-0", "CMD-3"]
    assert {anomaly.key for anomaly in anomalies if anomaly.reason == "set_aside"} == {"CMD-0", "CMD-3"}


async def test_a_refusal_said_in_place_of_the_answer_takes_no_letter_out_of_its_queue(
    monitor: Monitor, stream: Stream
) -> None:
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]))
    stream.publish("CMD-1", SCENARIOS["refused by payment"])
    assert found(await wrong(monitor, stream, broker(paiement_dlq=QueueCount(1, 0)))) == [
        ("dead_letter", "paiement", "exhausted")
    ]


async def test_a_dead_letter_of_an_order_that_is_undone_since_can_be_taken_out(
    monitor: Monitor, stream: Stream
) -> None:
    """But not the dead letter of the cancellation: the message to the customer is still awaited."""
    stream.publish("CMD-1", [*CONFIRMED, *undone(None)[:3]])
    stream.set_aside("stock", event_bytes("CMD-1", CREATED[3]))
    stream.set_aside("notification", event_bytes("CMD-1", undone(None)[0]))
    one = QueueCount(1, 0)
    stuck, *letters = await wrong(monitor, stream, broker(stock_dlq=one, notification_dlq=one))
    told = {letter.service: letter.sentence for letter in letters}
    ids = {letter.service: letter.letter for letter in monitor.queries.dead_letters(order_with("CMD-1"))}
    assert told["stock"].endswith(
        "its order was cancelled and undone since: "
        f"`python -m services dlq discard {ids['stock']} --because TEXT` takes it out of stock.dlq"
    )
    assert f"mend the cause, then `python -m services dlq replay {ids['notification']}`" in told["notification"]
    assert "mend the cause" in stuck.sentence


async def test_half_undone_names_the_missing_undoing_and_why(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", [*UNPAID, *undone("paiement.echoue")[:2]])
    (anomaly,) = await wrong(monitor, stream, broker(paiement_inbox=QueueCount(1, 0)))
    assert found([anomaly]) == [("half_undone", "paiement", "no_consumer")]
    assert (
        "CMD-1 is cancelled, and paiement has not said paiement.rembourse: paiement.inbox has no"
        in anomaly.sentence
    )


async def test_two_missing_undoings_are_two(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", [*PAID, *undone("paiement.effectue")[:1]])
    assert {service for _, service, _ in found(await wrong(monitor, stream, broker()))} == {"stock", "paiement"}


async def test_a_cancelled_order_whose_message_alone_is_missing_is_stuck(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", [*PAID, *undone("paiement.effectue")[:3]])
    assert found(await wrong(monitor, stream, broker())) == [("stuck", "notification", "unresponsive")]


@pytest.mark.parametrize(
    ("lines", "service"),
    [
        (PLACED, "stock"),
        (HELD, "paiement"),
        (PAID, "commande"),
        (CREATED, "notification"),
        (UNPAID, "commande"),
        ([Line("commande.annulation_demandee"), *PLACED], "commande"),
    ],
)
async def test_it_is_known_whose_turn_it_is(
    monitor: Monitor, stream: Stream, lines: list[Line], service: str
) -> None:
    stream.publish("CMD-1", lines)
    assert found(await wrong(monitor, stream, broker())) == [("stuck", service, "unresponsive")]


async def test_the_gravest_comes_first_and_one_order_can_be_asked_about(monitor: Monitor, stream: Stream) -> None:
    stream.publish("STUCK", HELD)
    stream.publish("TWICE", [*CONFIRMED, Line("commande.creee", id="2")])
    stream.publish("HALF", [*UNPAID, *undone("paiement.echoue")[:2]])
    anomalies = await wrong(monitor, stream, broker())
    assert [anomaly.key for anomaly in anomalies] == ["TWICE", "HALF", "STUCK"]
    (half,) = anomalies_of_instance(monitor.queries, order_with("HALF"), broker(), LATER, TERMS)
    assert half == anomalies[1]
    assert anomalies_of_instance(monitor.queries, order_with("NONE"), broker(), LATER, TERMS) == []
    written = as_json(half, SAGAS)
    assert (written["saga"], written["commande_id"]) == ("commande", "HALF")
    assert written["since"] == "2024-11-22T18:47:00.500Z"


async def test_the_broker_is_asked_about_every_inbox_and_dead_letter_queue(stream: Stream) -> None:
    stream.publish("CMD-1", CONFIRMED)
    answers = await read_broker_status(stream, SAGAS)
    assert set(answers.queues) > set(WELL)
    assert answers.last_offset is not None


async def test_a_history_that_keeps_less_than_an_order_lives_is_said(monitor: Monitor, stream: Stream) -> None:
    """Only when entries were dropped; a young stream still holds everything."""
    stream.publish("CMD-1", CONFIRMED)
    stream.set_aside("stock", b"first", "unreadable")
    stream.publish("CMD-2", HELD)
    assert found(await wrong(monitor, stream, await read_broker_status(stream, SAGAS), SOON)) == []
    stream.trim(len(CONFIRMED))
    trimmed = await wrong(monitor, stream, await read_broker_status(stream, SAGAS), SOON)
    assert found(trimmed) == [("lost_history", None, "kept_too_short")]
    assert "is needed" in trimmed[0].sentence
