"""A remedy names nothing that a person here cannot do: a foreign service's worker is run by others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import QueueCount
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import Binding, events, inbox
from saga_monitor.diagnosis.anomalies import anomalies_of
from saga_monitor.projection.queries import Queries
from saga_monitor.text.dead_letters import commands
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.diagnosis.test_several_sagas import LATER, SAGAS, TERMS, broker
from tests.saga_monitor.memory_stream import Stream, event_bytes
from tests.saga_monitor.projection.test_several_sagas import RECEIVED
from tests.support.several_sagas import retour

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from saga_monitor.records.broker_status import BrokerStatus

OURS = "restart any worker of the application"


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Monitor]:
    """`paiement`, which takes part in each of three sagas, is run by others."""
    sagas = SagaSet(SAGAS.declared, frozenset({"paiement"}))
    monitor = Monitor(tmp_path / "foreign.sqlite3", sagas)
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


async def sentence(foreign: Monitor, stream: Stream, status: BrokerStatus, kind: str) -> str:
    """What is said of the one anomaly of that kind."""
    await foreign.read(stream)
    (found,) = (one for one in anomalies_of(foreign.queries, status, LATER, TERMS) if one.kind == kind)
    return found.sentence


async def test_its_missing_queue_is_declared_by_any_worker(foreign: Monitor, stream: Stream) -> None:
    lacking = broker()
    queues = {name: count for name, count in lacking.queues.items() if name != inbox("paiement")}
    status = replace(lacking, queues=queues, asked=frozenset({*lacking.queues, inbox("paiement")}))
    told = await sentence(foreign, stream, status, "queue")
    assert f"what is sent there is lost; {OURS}, which declares them" in told
    assert "worker of paiement" not in told


async def test_its_lost_binding_is_bound_by_any_worker_and_its_own_events_are_said_by_others(
    foreign: Monitor, stream: Stream
) -> None:
    binding = Binding(events("stock"), inbox("paiement"), "stock.retour_recu")
    told = await sentence(foreign, stream, replace(broker(), unbound=(binding,)), "queue")
    assert f"{OURS}, which binds it again, then `python -m several outbox resend --service stock" in told
    back = Binding(events("paiement"), inbox("stock"), "paiement.echoue")
    told = await sentence(foreign, stream, replace(broker(), unbound=(back,)), "queue")
    assert told.endswith("then have the foreign service paiement say again what was lost")


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (None, f"{OURS}, which declares it, then"),
        (QueueCount(0, 1), f"look at the log of paiement and {OURS}, which also binds it again"),
        (QueueCount(3, 1), "wait, or start another where it is run"),
        (QueueCount(3, 0), "paiement is a foreign service; start it where it is run"),
    ],
)
async def test_an_instance_that_waits_for_it(
    foreign: Monitor, stream: Stream, waiting: QueueCount | None, words: str
) -> None:
    stream.publish("R-1", RECEIVED)
    queues = {name: count for name, count in broker().queues.items() if name != inbox("paiement")}
    queues |= {} if waiting is None else {inbox("paiement"): waiting}
    told = await sentence(foreign, stream, replace(broker(), queues=queues), "stuck")
    assert words in told
    assert "worker of paiement" not in told


@pytest.mark.parametrize("service", ["paiement", "stock"])
async def test_a_dead_letter_offers_commands_of_services_that_are_run_here(
    foreign: Monitor, stream: Stream, service: str
) -> None:
    stream.publish("R-1", RECEIVED)
    stream.set_aside(service, event_bytes("R-1", RECEIVED[-1]), "exhausted")
    await foreign.read(stream)
    queries: Queries = foreign.queries
    (letter,) = queries.dead_letters(retour("R-1"))
    lines = [one.line for one in commands(letter, None, queries.sagas, "python -m several")]
    offered = [line for line in lines if line.startswith("python -m several")]
    own = ["ready stock", "inspect stock", f"dlq show {letter.letter}"]
    assert offered == ([] if service == "paiement" else [f"python -m several {verb}" for verb in own])
    assert "python -m saga_monitor history --all --saga retour --key=R-1" in lines
