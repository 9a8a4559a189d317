"""A queue's problem is an anomaly once it lasts, and a queue that is not counted is not taken for empty."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY
from saga_monitor.diagnosis.broker_anomalies import FirstSeen
from saga_monitor.records.broker_status import LASTING, BrokerStatus, Problem, QueueProblem
from saga_monitor.text.anomaly_list import whole_sentence
from tests.saga_monitor.diagnosis.test_anomalies import LATER, broker, found, wrong
from tests.saga_monitor.memory_stream import HELD

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


def with_problems(*queues: tuple[str, Problem], since: dt.datetime = LATER - LASTING) -> BrokerStatus:
    problems = tuple(QueueProblem(queue, problem, since, 2) for queue, problem in queues)
    leaderless = frozenset(queue for queue, problem in queues if problem is Problem.NO_LEADER)
    well = broker()
    counted = {name: count for name, count in well.queues.items() if name not in leaderless}
    return replace(well, queues=counted, unknown=leaderless, problems=problems)


@pytest.mark.parametrize(
    ("queue", "problem", "anomaly"),
    [
        ("stock.inbox", Problem.NO_LEADER, ("queue", "stock", "no_leader")),
        ("paiement.retry.5", Problem.HIDDEN, ("queue", "paiement", "hidden")),
        ("commande.dlq", Problem.NO_FIGURES, ("queue", None, "no_figures")),
        (HISTORY, Problem.NO_LEADER, ("blind", None, "no_leader")),
    ],
)
async def test_a_trouble_that_lasts_is_an_anomaly_and_a_young_one_is_not(
    monitor: Monitor, stream: Stream, queue: str, problem: Problem, anomaly: tuple[str, str | None, str]
) -> None:
    young = with_problems((queue, problem), since=LATER - LASTING / 2)
    assert await wrong(monitor, stream, young) == []
    judged = await wrong(monitor, stream, with_problems((queue, problem)))
    assert found(judged) == [anomaly]
    assert queue in judged[0].sentence
    assert FirstSeen().dated(judged, LATER)[0].since == LATER - LASTING


async def test_queues_of_one_service_are_one_anomaly(monitor: Monitor, stream: Stream) -> None:
    hidden = with_problems(("stock.inbox", Problem.HIDDEN), ("stock.retry.5", Problem.HIDDEN))
    (anomaly,) = await wrong(monitor, stream, hidden)
    assert anomaly.count == 4
    assert (
        "4 messages are neither ready nor with a worker: 2 in stock.inbox, 2 in stock.retry.5" in anomaly.sentence
    )
    assert "stock.dlx exists and leads to stock.dlq" in anomaly.sentence
    assert "stock.requeue exists and leads to stock.inbox" in anomaly.sentence
    assert whole_sentence(anomaly) == anomaly.sentence  # which says how many there are
    assert whole_sentence(replace(anomaly, saga="commande", key="CMD-1")).endswith("(and 3 more like it)")


async def test_an_order_that_waits_for_a_queue_without_a_leader_says_so(monitor: Monitor, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    judged = await wrong(monitor, stream, with_problems(("paiement.inbox", Problem.NO_LEADER)))
    assert found(judged) == [("stuck", "paiement", "no_leader"), ("queue", "paiement", "no_leader")]


async def test_an_inbox_that_may_not_be_counted_is_not_said_to_be_missing(
    monitor: Monitor, stream: Stream
) -> None:
    stream.publish("CMD-1", HELD)
    refused = replace(broker(paiement_inbox=None), unknown=frozenset({"paiement.inbox"}))
    judged = await wrong(monitor, stream, refused)
    assert found(judged) == [("blind", None, "not_counted"), ("stuck", "paiement", "unknown")]


def test_dead_letters_that_may_not_be_counted_are_not_none() -> None:
    assert with_problems(("stock.dlq", Problem.NO_LEADER)).dead_letters("stock") is None
    assert broker(stock_dlq=QueueCount(2, 0)).dead_letters("stock") == 2
