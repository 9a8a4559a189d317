"""Why an answer is missing, and a remedy that can work: a service cannot resend a client's event."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import QueueCount
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import Retry
from saga_monitor.diagnosis.causes import Evidence, cause_of
from saga_monitor.diagnosis.pending import PendingStep
from services.orchestration import WIRING
from tests.saga_monitor.diagnosis.test_anomalies import LATER, broker, found, wrong
from tests.saga_monitor.memory_stream import (
    ASKED,
    CONFIRMED,
    HELD,
    PAID,
    PLACED,
    SCENARIOS,
    START,
    UNPAID,
    Line,
    undone,
)
from tests.support.order_saga import COMMAND

if TYPE_CHECKING:
    from choregraphie.saga.choreography import Choreography
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

SEND_AGAIN = "the client must send {} again, with the same event id"
SAY_AGAIN = "`python -m services outbox resend --service {} --since 2024-11-22T18:47:00Z`"


@pytest.mark.parametrize(
    ("lines", "service", "remedy"),
    [
        (PLACED, "stock", SEND_AGAIN.format("commande.initiee")),
        (HELD, "paiement", SAY_AGAIN.format("stock")),
        (UNPAID, "commande", SAY_AGAIN.format("paiement")),
        ([*PAID, ASKED], "commande", SEND_AGAIN.format("commande.annulation_demandee")),
        ([*CONFIRMED, ASKED], "commande", SEND_AGAIN.format("commande.annulation_demandee")),
        ([*PAID, *undone("paiement.effectue")[:3]], "notification", SAY_AGAIN.format("commande")),
    ],
)
async def test_what_was_lost_is_said_again_by_whoever_said_it(
    monitor: Monitor, stream: Stream, lines: list[Line], service: str, remedy: str
) -> None:
    """An outbox holds only events of its own service, however long ago."""
    now = LATER + dt.timedelta(hours=3)
    stream.publish("CMD-1", lines)
    (gone,) = await wrong(monitor, stream, broker(**{f"{service}_inbox": None}), now)
    (held,) = await wrong(monitor, stream, broker(), now)
    stream.publish("CMD-2", SCENARIOS["cancelled after creation"], START + dt.timedelta(hours=1))
    (lost,) = [anomaly for anomaly in await wrong(monitor, stream, broker(), now) if anomaly.service == service]
    assert [anomaly.reason for anomaly in (gone, held, lost)] == ["no_queue", "unresponsive", "never_came"]
    for anomaly in (gone, held, lost):
        assert anomaly.service == service
        assert anomaly.sentence.endswith(remedy)


async def test_what_a_service_said_before_it_was_asked_shows_nothing_whatever_its_clock(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-2", CONFIRMED, START + dt.timedelta(seconds=60))
    stream.publish("CMD-1", HELD)
    assert found(await wrong(monitor, stream, broker())) == [("stuck", "paiement", "unresponsive")]


@pytest.mark.parametrize("tail", [CONFIRMED[-1:], undone(None)[1:], undone(None)[2:3], PAID[-1:]])
async def test_an_order_whose_beginning_was_trimmed_waits_for_nothing(
    monitor: Monitor, stream: Stream, tail: list[Line]
) -> None:
    """If the beginning was heard, the missing answers are really missing."""
    stream.publish("CMD-1", tail)
    stream.publish("CMD-2", [*PLACED, *tail])
    (anomaly,) = await wrong(monitor, stream, broker(commande_inbox=QueueCount(0, 0)))
    assert anomaly.key == "CMD-2"
    missing = ("stock", "unresponsive") if tail == CONFIRMED[-1:] else ("commande", "no_consumer")
    assert found([anomaly]) == [("stuck", *missing)]


@pytest.mark.parametrize(
    ("saga", "step", "undoing", "tries"),
    [
        (CHOREOGRAPHY, "paiement", False, 6),
        (WIRING, "paiement", False, 3),
        (WIRING, "paiement", True, 6),
        (WIRING, "stock", False, 6),
    ],
)
def test_a_retry_counts_the_tries_that_the_step_declares(
    saga: Choreography, step: str, undoing: bool, tries: int
) -> None:
    retry = Retry("paiement", "e-1", attempt=1, next=LATER, detail="ReponsePerdue")
    known = Evidence(saga, COMMAND, "CMD-1", START, 1, LATER, 6, broker(), retries=[retry])
    cause = cause_of(PendingStep(step, "paiement", "paiement.effectue", (), undoing=undoing), known)
    assert cause.sentence.startswith(f"try 1 of {tries} failed")


def test_of_an_answer_that_nothing_heard_calls_for_the_broker_is_not_asked_why() -> None:
    status = broker(commande_inbox=QueueCount(0, 0))
    known = Evidence(CHOREOGRAPHY, COMMAND, "CMD-1", START, 1, LATER, 6, status)
    reason = cause_of(PendingStep("commande", "commande", "commande.creee", (), undoing=False), known)
    assert reason.reason == "no_beginning"
    assert reason.sentence.endswith("`python -m services journal CMD-1` tells what was done for it")
