"""Live orchestrators on one PostgreSQL: each failpoint kills one, and three of them share the work.

One set of workers serves the whole file; each check covers everything that has happened so far.
"""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from choregraphie.failpoints import Place
from scripts.nemesis.coordination import ORCHESTRATED
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.orders import EXCHANGE, ORDER_KINDS, ORDERED, make_order
from scripts.nemesis.workers import Slot
from services.orchestrateur import ORCHESTRATION, SERVICE
from tests.chaos.live import live_environment
from tests.chaos.test_failpoints import ELSEWHERE, KINDS, RUBBISH
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.environment import Environment
    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.brokers import Broker

NAME = ORCHESTRATION.service
# What an orchestrator passes with the orders of this test, in groups of answers or alone.
PASSED = (
    Place.IN_TRANSACTION,
    Place.AFTER_COMMIT,
    Place.AFTER_CONFIRM,
    Place.BEFORE_MARK,
    Place.AFTER_ACK,
    Place.AFTER_DEAD_LETTER_PUBLISH,
)
NEWER = ORCHESTRATION.version + 1


@pytest.fixture(scope="module")
def environment(
    broker: Broker, postgres: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    with live_environment(broker, tmp_path_factory.mktemp("saga"), postgres, ORCHESTRATED) as opened:
        yield opened


def test_an_orchestrator_passes_every_other_failpoint() -> None:
    """It makes no external call, so nothing can kill it before or after one."""
    assert not any(handler.call for handler in SERVICE.reactions)
    calls = {Place.BEFORE_CALL, Place.AFTER_CALL}
    assert {*PASSED, Place.AFTER_RETRY_PUBLISH} == set(Place) - ELSEWHERE - calls


def test_orders_go_on_at_the_right_step_wherever_their_orchestrator_dies(environment: Environment) -> None:
    slot = stopped(environment, NAME)
    for place in PASSED:
        # Not at once: some orders have come further by then.
        later = "" if place is Place.AFTER_DEAD_LETTER_PUBLISH else ":3"
        environment.workers.start(slot, SAGA_FAILPOINT=f"{place}{later}")
        place_orders(environment, str(place))
        await_death(environment, slot)
    environment.workers.start(slot)
    check(environment)


def test_an_answer_is_retried_by_the_next_orchestrator(environment: Environment) -> None:
    key = waiting_for_stock(environment, "retried")
    update(environment, f"version = {NEWER}", key)
    slot = stopped(environment, NAME)
    environment.workers.start(slot, SAGA_FAILPOINT=Place.AFTER_RETRY_PUBLISH)
    restart(environment, "stock")
    await_death(environment, slot)
    update(environment, f"version = {ORCHESTRATION.version}", key)
    environment.workers.start(slot)
    check(environment)
    assert environment.read_databases().instances[key].state == "COMPLETED"


@pytest.mark.parametrize("place", [Place.IN_TRANSACTION, Place.AFTER_COMMIT])
def test_an_answer_too_late_is_acted_on_once_although_the_clock_dies(
    environment: Environment, place: Place
) -> None:
    key = waiting_for_stock(environment, f"late-{place}")
    slot = stopped(environment, NAME)
    update(environment, "due = since", key)
    environment.workers.start(slot, SAGA_FAILPOINT=place)
    await_death(environment, slot)
    environment.workers.start(slot)
    # Not before: an answer that is heard first is in time.
    until(lambda: environment.read_databases().instances[key].state != "RUNNING", "the order is cancelled")
    restart(environment, "stock")
    check(environment)
    assert environment.read_databases().instances[key].state == "COMPENSATED"


def test_three_orchestrators_share_the_work_while_one_after_another_dies(environment: Environment) -> None:
    workers = environment.workers
    added = [Slot(NAME, number) for number in (2, 3)]
    workers.slots += added
    for slot in added:
        workers.start(slot)
    until(lambda: environment.consumers(NAME) == 3, "three orchestrators hear answers")
    for number, victim in enumerate(workers.of(NAME), 1):
        order_of_every_kind(environment, f"race-{number}")
        workers.kill(victim)
        workers.start(victim)
    until(lambda: environment.consumers(NAME) == 3, "three orchestrators hear answers again")
    order_of_every_kind(environment, "race-4")
    check(environment)
    for slot in workers.of(NAME):
        assert slot.process
        slot.process.terminate()
        assert workers.await_exit(slot, 60) == 0
    logs = [log.read_text() for log in workers.logs if log.name.startswith(NAME)]
    assert ["deliveries.handled" in log for log in logs] == [True] * 3


def order_of_every_kind(environment: Environment, name: str) -> None:
    """Orders of every kind, some of their events several times."""
    rng = random.Random(name)
    for kind in ORDER_KINDS:
        environment.order(make_order(kind, f"{name}-{kind.replace(' ', '-')}", rng))
    environment.client.publish_again(rng.sample(environment.client.messages, 10), copies=2)


def stopped(environment: Environment, service: str) -> Slot:
    (slot,) = environment.workers.of(service)
    environment.workers.kill(slot)
    return slot


def restart(environment: Environment, service: str) -> None:
    environment.workers.start(stopped(environment, service))


def await_death(environment: Environment, slot: Slot) -> None:
    assert environment.workers.await_exit(slot, 60) == -signal.SIGKILL


def place_orders(environment: Environment, name: str) -> None:
    rng = random.Random(name)
    for number, kind in enumerate(KINDS, 1):
        environment.order(make_order(kind, f"{name}-{number}", rng))
    environment.client.publish(EXCHANGE, ORDERED, RUBBISH + name.encode(), refused={NAME: "unreadable"})


def waiting_for_stock(environment: Environment, key: str) -> str:
    """The key of an order whose first command was published; stock is stopped and does not answer it."""
    stopped(environment, "stock")
    environment.order(make_order("plain", key, random.Random(key)))

    def published() -> bool:
        outbox = environment.read_databases().of(NAME).outbox
        return any(row.published for row in outbox if row.commande_id == key)

    until(published, "the first command is published")
    return key


def update(environment: Environment, values: str, key: str) -> None:
    """What an operator's SQL does to the instance of `key`."""
    with psycopg.connect(environment.database_url.replace("{service}", NAME), autocommit=True) as connection:
        done = connection.execute(
            f"UPDATE {ORCHESTRATION.table} SET {values} WHERE commande_id = %s",
            (key,),
        )
        assert done.rowcount == 1


def check(environment: Environment) -> None:
    assert environment.await_quiet(90) == []
    assert check_invariants(*environment.record(), WITHOUT_PROCESSES) == []
