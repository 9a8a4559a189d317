"""The checkers notice the removal of each guard of an orchestrator; with the guards they find nothing.

The smallest scenario for each, as in `test_mutants.py`, and scenarios of guards that every service has.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from choregraphie.failpoints import Place
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.machine_mutants import ORCHESTRATOR_MUTANTS
from scripts.nemesis.mutants import ALL_MUTANTS
from scripts.nemesis.orders import CANCELLED, ORDERED, make_order
from services.orchestration import ORCHESTRATED
from tests.chaos.in_process import InProcessSaga

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def saga(tmp_path: Path) -> Iterator[InProcessSaga]:
    opened = InProcessSaga(tmp_path / "saga", application=ORCHESTRATED)
    yield opened
    opened.close()


def order(saga: InProcessSaga, kind: str = "plain") -> None:
    (initiee,) = make_order(kind, "CMD-1", random.Random(1))
    saga.publish(initiee.key, initiee.body)


def a_cancellation_while_a_step_has_not_answered(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("orchestrateur")
    demand, _ = make_order("cancelled before", "CMD-1", random.Random(2))
    saga.publish(CANCELLED, demand.body)
    for service in ("orchestrateur", "commande", "orchestrateur"):
        saga.work(service)


def a_refusal_after_two_steps(saga: InProcessSaga) -> None:
    order(saga, "blocked")


def an_id_used_again_for_another_order(saga: InProcessSaga) -> None:
    order(saga)
    saga.settle()
    content = json.loads(saga.published[0].body)
    content["data"]["commande_id"] = "CMD-2"
    saga.publish(ORDERED, json.dumps(content).encode(), refused={"orchestrateur": "id_collision"})


def a_power_cut_in_the_transaction(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("orchestrateur", dies_at=Place.IN_TRANSACTION)


def a_power_cut_between_commit_and_publish(saga: InProcessSaga) -> None:
    order(saga)
    saga.work("orchestrateur", dies_at=Place.AFTER_COMMIT)


def an_order_of_which_nothing_was_held(saga: InProcessSaga) -> None:
    order(saga, "short of stock")


CASES: dict[str, tuple[Callable[[InProcessSaga], None], set[str]]] = {
    "unanswered_not_undone": (a_cancellation_while_a_step_has_not_answered, {"I5"}),
    "undone_in_order": (a_refusal_after_two_steps, {"I5"}),
    "inbox_off": (an_id_used_again_for_another_order, {"I8"}),
    "ack_before_commit": (a_power_cut_in_the_transaction, {"I3", "I6"}),
    "cleared_before_confirm": (a_power_cut_between_commit_and_publish, {"I3", "I6"}),
    "silent_undoing": (an_order_of_which_nothing_was_held, {"I3"}),
}


def test_every_guard_of_the_orchestrator_has_its_scenario() -> None:
    assert set(ORCHESTRATOR_MUTANTS) <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_with_its_guards_the_system_violates_nothing(name: str, saga: InProcessSaga) -> None:
    scenario, _ = CASES[name]
    scenario(saga)
    saga.settle()
    assert check_invariants(*saga.record(), WITHOUT_PROCESSES) == []


@pytest.mark.parametrize("name", CASES)
def test_without_one_guard_the_system_violates_an_invariant(
    name: str, saga: InProcessSaga, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, invariants = CASES[name]
    ALL_MUTANTS[name](monkeypatch.setattr)
    scenario(saga)
    saga.settle()
    found = check_invariants(*saga.record(), WITHOUT_PROCESSES)
    assert invariants <= {violation.invariant for violation in found}, found
