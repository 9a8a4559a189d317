"""The checkers notice the removal of each guard of the system; with the guards they find nothing.

The smallest scenario for each, over the simulator's model of the broker: the pipelines and the databases are the
real ones.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import DatabaseUnavailable
from choregraphie.failpoints import Place
from choregraphie.storage.store import Store
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.mutants import MUTANTS
from scripts.nemesis.orders import CANCELLED, ORDERED, make_order
from tests.chaos.in_process import InProcessSaga

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from choregraphie.storage.invocation import Invocation


@pytest.fixture
def saga(tmp_path: Path) -> Iterator[InProcessSaga]:
    opened = InProcessSaga(tmp_path / "saga")
    yield opened
    opened.close()


def order(saga: InProcessSaga, kind: str = "plain", number: str = "CMD-1") -> None:
    (initiee,) = make_order(kind, number, random.Random(number))
    saga.publish(initiee.key, initiee.body)


def demand_cancellation(saga: InProcessSaga) -> None:
    demand, _ = make_order("cancelled before", "CMD-1", random.Random(2))
    saga.publish(CANCELLED, demand.body)


def an_id_used_again_for_another_order(saga: InProcessSaga) -> None:
    order(saga)
    saga.settle()
    content = json.loads(saga.published[0].body)
    content["data"]["commande_id"] = "CMD-2"
    both = {"stock": "id_collision", "commande": "id_collision"}
    saga.publish(ORDERED, json.dumps(content).encode(), refused=both)


def a_power_cut_in_the_transaction(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("stock", dies_at=Place.IN_TRANSACTION)


def a_power_cut_between_commit_and_publish(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("stock", dies_at=Place.AFTER_COMMIT)


def a_cancellation_that_overtakes_its_order(saga: InProcessSaga) -> None:
    order(saga)
    demand_cancellation(saga)
    saga.work("commande")
    saga.overtake("stock")


def a_demand_to_cancel_an_order_that_is_refused(saga: InProcessSaga) -> None:
    order(saga, "short of stock")
    saga.work("stock")
    demand_cancellation(saga)


def a_dead_letter_sent_back_with_everything_on_it_and_tried_twice(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("stock")
    reserved = saga.take("paiement.inbox")
    death = {
        "queue": "paiement.inbox",
        "reason": "delivery_limit",
        "exchange": reserved.exchange,
        "routing-keys": [reserved.routing_key],
        "count": 1,
    }
    saga.send_back("paiement", reserved, **{"x-death": [death]})
    saga.work("paiement", gateway="simulated", gateway_failure_rate=1.0)


def an_order_refused_before_there_is_anything_to_undo(saga: InProcessSaga) -> None:
    order(saga, "short of stock")


def a_database_that_does_not_answer_at_first(saga: InProcessSaga) -> None:
    order(saga)
    commit = Store.commit_and_begin
    refused: list[Sequence[Invocation]] = []

    def failing_once(self: Store, group: Sequence[Invocation], *more: Any) -> Any:
        if group and not refused:
            refused.append(group)
            raise DatabaseUnavailable("locked")
        return commit(self, group, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit_and_begin", failing_once)
        saga.work("stock")


def power_cuts_after_the_charge_and_after_the_mail(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("stock")
    saga.work("paiement", dies_at=Place.AFTER_CALL)
    saga.work("paiement")
    saga.work("commande")
    saga.work("notification", dies_at=Place.AFTER_CALL)


CASES: dict[str, tuple[Callable[[InProcessSaga], None], set[str]]] = {
    "inbox_off": (an_id_used_again_for_another_order, {"I8"}),
    "ack_before_commit": (a_power_cut_in_the_transaction, {"I3", "I6"}),
    "cleared_before_confirm": (a_power_cut_between_commit_and_publish, {"I3", "I6"}),
    "tombstone_off": (a_cancellation_that_overtakes_its_order, {"I5"}),
    "compare_and_set_off": (a_demand_to_cancel_an_order_that_is_refused, {"I4"}),
    "death_headers_kept": (a_dead_letter_sent_back_with_everything_on_it_and_tried_twice, {"I3", "I8"}),
    "silent_undoing": (an_order_refused_before_there_is_anything_to_undo, {"I3"}),
    "messages_blamed": (a_database_that_does_not_answer_at_first, {"I8"}),
    "keys_made_anew": (power_cuts_after_the_charge_and_after_the_mail, {"I2", "I7"}),
}


def test_every_guard_has_its_scenario() -> None:
    assert set(CASES) == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_with_its_guards_the_system_violates_nothing(name: str, saga: InProcessSaga) -> None:
    scenario, _ = CASES[name]
    scenario(saga)
    saga.settle()
    assert check_invariants(*saga.record(), WITHOUT_PROCESSES) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_without_one_guard_the_system_violates_an_invariant(
    name: str, saga: InProcessSaga, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, invariants = CASES[name]
    MUTANTS[name](monkeypatch.setattr)
    scenario(saga)
    saga.settle()
    found = check_invariants(*saga.record(), WITHOUT_PROCESSES)
    assert invariants <= {violation.invariant for violation in found}, found
