"""A guard taken away is missed, at the seed written here; with the guard, the same seed holds.

Each seed was the first from 0 on, with so many orders a run, at which that invariant broke: as many runs find it.
A change of the runtime shifts what happens when: the seed is then looked for anew, and written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.simulator import run_plan
from choregraphie.simulator.exhaustive import Search
from services.scenario import SCOPES, plan
from tests.choregraphie.simulator.external_mutants import EXTERNAL_MUTANTS
from tests.choregraphie.simulator.mutants import MUTANTS

if TYPE_CHECKING:
    from choregraphie.simulator import Databases

FOUND = {
    "inbox_off": (1, 12, "I7"),
    "ack_before_commit": (4, 12, "I6"),
    "said_before_confirmed": (0, 12, "I6"),
    "no_tombstone": (13, 12, "I5"),
    "no_compare_and_set": (0, 12, "I4"),
    # The message is lost, not only marked: RabbitMQ 3.10 hides it in the retry queue for ever.
    "death_headers_kept": (77, 40, ".retry."),
    "silent_when_nothing_to_undo": (0, 12, "I3"),
}
FOUND_OUTSIDE = {
    "gateway_never_asked": (0, 12, "I2"),
    "charged_a_hundredfold": (0, 12, "I2"),
    "mail_never_sent": (0, 12, "I3"),
    "a_key_of_each_try": (0, 12, "I7"),
    "no_correction": (1, 12, "I3"),
    "silent_after_a_confirmation": (1, 12, "I3"),
    # An annulation is on its way when its order's confirmation leaves.
    "no_tombstone_before_the_call": (1445, 12, "I7"),
}
LIMIT = 2000


def test_every_mutant_has_its_seed() -> None:
    assert FOUND.keys() == MUTANTS.keys()
    assert len(MUTANTS) == 7
    assert FOUND_OUTSIDE.keys() == EXTERNAL_MUTANTS.keys()
    assert all(seed < LIMIT for seed, _, _ in (FOUND | FOUND_OUTSIDE).values())


@pytest.mark.parametrize("name", [*MUTANTS, *EXTERNAL_MUTANTS])
def test_the_simulation_finds_it(name: str, databases: Databases) -> None:
    seed, orders, invariant = (FOUND | FOUND_OUTSIDE)[name]
    with pytest.MonkeyPatch.context() as patch:
        (MUTANTS | EXTERNAL_MUTANTS)[name](patch)
        assert any(invariant in found for found in run_plan(plan(seed, orders), databases).found)
    assert run_plan(plan(seed, orders), databases).found == ()


def test_the_search_misses_the_comparison_of_what_was_paid(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two orders under one id the one could be created and the other one paid, without any fault."""
    monkeypatch.setattr("services.commande.rules.ecart", lambda commande, paye: None)
    found = Search(SCOPES[3], 0, databases).run().violations
    assert any(violation.startswith("I2 ") for violation in found), found


@pytest.mark.parametrize("name", ["no_tombstone", "no_compare_and_set", "silent_when_nothing_to_undo"])
def test_the_search_finds_it(name: str, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the guards that a single service keeps for itself, without a network."""
    MUTANTS[name](monkeypatch)
    assert Search(SCOPES[1], 1, databases).run().violations
