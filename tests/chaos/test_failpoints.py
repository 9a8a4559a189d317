"""A worker dies at each failpoint of the pipeline, and nothing is lost or done twice.

One set of workers serves the whole file; only the one under test is killed and restarted. Each check covers
everything that has happened so far, so a later test also sees the damage of an earlier one.
"""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from choregraphie.failpoints import Place
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.orders import EXCHANGE, ORDERED, make_order
from tests.chaos.live import live_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.environment import Environment
    from tests.support.brokers import Broker

KINDS = ("plain", "short of stock", "poor", "blocked", "cancelled at once", "cancelled soon", "twice")
# For the failpoints that only failing messages reach: an undecodable message, a gateway that never answers.
RUBBISH = b'{"specversion": "1.0", "type": "commande.initiee", "data": '
FAILING_GATEWAY = {"SAGA_GATEWAY": "simulated", "SAGA_GATEWAY_FAILURE_RATE": "1", "SAGA_CALL_TIMEOUT": "2"}

CASES: tuple[tuple[str, Place, dict[str, str]], ...] = (
    ("paiement", Place.BEFORE_CALL, {}),
    ("paiement", Place.AFTER_CALL, {}),
    ("notification", Place.AFTER_CALL, {}),
    ("stock", Place.IN_TRANSACTION, {}),
    ("paiement", Place.IN_TRANSACTION, {}),
    ("stock", Place.AFTER_COMMIT, {}),
    ("commande", Place.AFTER_COMMIT, {}),
    ("commande", Place.AFTER_CONFIRM, {}),
    ("stock", Place.BEFORE_MARK, {}),
    ("paiement", Place.AFTER_ACK, {}),
    ("paiement", Place.AFTER_RETRY_PUBLISH, FAILING_GATEWAY),
    ("stock", Place.AFTER_DEAD_LETTER_PUBLISH, {}),
)
# No worker passes the places of a relay and of an operator's commands. Their cases are in
# tests/choregraphie/client/test_relay_process.py, tests/e2e/test_dead_letters.py and tests/e2e/test_settle.py.
ELSEWHERE = {Place.BEFORE_RELAY, Place.AFTER_RELAY, Place.AFTER_LETTER_CONFIRM, Place.AFTER_SETTLEMENT}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def environment(
    request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with live_environment(broker, tmp_path_factory.mktemp("failpoints"), postgres) as opened:
        yield opened


def test_every_failpoint_has_a_case() -> None:
    assert {place for _, place, _ in CASES} == set(Place) - ELSEWHERE


@pytest.mark.parametrize(("service", "place", "more"), CASES, ids=[f"{s}-{p}" for s, p, _ in CASES])
def test_a_worker_that_dies_at_a_failpoint_loses_and_repeats_nothing(
    environment: Environment, service: str, place: Place, more: dict[str, str]
) -> None:
    (worker,) = environment.workers.of(service)
    environment.workers.kill(worker)
    environment.workers.start(worker, SAGA_FAILPOINT=place, **more)
    place_orders(environment, f"{service}-{place}")
    assert environment.workers.await_exit(worker, 30) == -signal.SIGKILL
    environment.workers.start(worker)
    assert environment.await_quiet(40) == []
    assert check_invariants(*environment.record(), WITHOUT_PROCESSES) == []


def place_orders(environment: Environment, name: str) -> None:
    rng = random.Random(name)
    for number, kind in enumerate(KINDS, 1):
        environment.order(make_order(kind, f"{name}-{number}", rng))
    body = RUBBISH + name.encode()
    environment.client.publish(EXCHANGE, ORDERED, body, refused={"stock": "unreadable", "commande": "unreadable"})
