"""Each guard of the system, removed, is missed by the checkers; with it, they find nothing.

The smallest scenario for each, over the model of the broker: the pipelines and the databases are the real ones.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseUnavailable
from choregraphie.failpoints import Place
from choregraphie.storage.store import Store
from scripts.nemesis.invariants import WITHOUT_PROCESSES, judge
from scripts.nemesis.mutants import MUTANTS
from scripts.nemesis.orders import CANCELLED, ORDERED, make
from tests.chaos.in_process import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from choregraphie.storage.invocation import Invocation, Result


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path / "world")
    yield opened
    opened.close()


def order(world: World, kind: str = "plain", number: str = "CMD-1") -> None:
    (said,) = make(kind, number, random.Random(number))
    world.say(said.key, said.body)


def demand(world: World) -> None:
    demand, _ = make("cancelled before", "CMD-1", random.Random(2))
    world.say(CANCELLED, demand.body)


def an_id_used_again_for_another_order(world: World) -> None:
    order(world)
    world.settle()
    content = json.loads(world.published[0].body)
    content["data"]["commande_id"] = "CMD-2"
    both = {"stock": "id_collision", "commande": "id_collision"}
    world.say(ORDERED, json.dumps(content).encode(), refused=both)


def a_power_cut_in_the_transaction(world: World) -> None:
    order(world)
    world.work("stock", dies_at=Place.IN_TRANSACTION)


def a_power_cut_between_commit_and_publish(world: World) -> None:
    order(world)
    world.work("stock", dies_at=Place.AFTER_COMMIT)


def a_cancellation_that_overtakes_its_order(world: World) -> None:
    order(world)
    demand(world)
    world.work("commande")
    world.overtake("stock")


def a_demand_to_cancel_an_order_that_is_refused(world: World) -> None:
    order(world, "short of stock")
    world.work("stock")
    demand(world)


def a_dead_letter_sent_back_with_everything_on_it_and_tried_twice(world: World) -> None:
    order(world)
    world.work("stock")
    inbox = world.broker.queues["paiement.inbox"]
    deaths = [{"queue": "paiement.inbox", "reason": "delivery_limit"}]
    inbox.append(replace(inbox.popleft(), exchange="paiement.requeue", headers={"x-death": deaths}))
    world.work("paiement", gateway="simulated", gateway_failure_rate=1.0)


def an_order_refused_before_there_is_anything_to_undo(world: World) -> None:
    order(world, "short of stock")


def a_database_that_does_not_answer_at_first(world: World) -> None:
    order(world)
    commit = Store.commit
    refused: list[Sequence[Invocation]] = []

    def troubled(self: Store, group: Sequence[Invocation], said: Iterable[str] = ()) -> list[Result]:
        if group and not refused:
            refused.append(group)
            raise DatabaseUnavailable("locked")
        return commit(self, group, said)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit", troubled)
        world.work("stock")


def power_cuts_after_the_charge_and_after_the_mail(world: World) -> None:
    order(world)
    world.work("stock")
    world.work("paiement", dies_at=Place.AFTER_CALL)
    world.work("paiement")
    world.work("commande")
    world.work("notification", dies_at=Place.AFTER_CALL)


CASES: dict[str, tuple[Callable[[World], None], set[str]]] = {
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
def test_with_its_guards_the_system_comes_through(name: str, world: World) -> None:
    scenario, _ = CASES[name]
    scenario(world)
    world.settle()
    assert judge(*world.record(), WITHOUT_PROCESSES) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_without_that_guard_it_does_not(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, invariants = CASES[name]
    MUTANTS[name](monkeypatch.setattr)
    scenario(world)
    world.settle()
    found = judge(*world.record(), WITHOUT_PROCESSES)
    assert invariants <= {violation.invariant for violation in found}, found
