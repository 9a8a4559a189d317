"""A removed guard is detected with the seed recorded here; with the guard, the same seed has no violation.

Each seed is the first from 0 on that detects the mutant, with so many orders per run: it takes that many runs. A
change of the engine shifts what happens when; search for the seed again then.
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
    "ack_before_commit": (0, 12, "I6"),
    "said_before_confirmed": (0, 12, "I6"),
    "no_tombstone": (13, 12, "I5"),
    "no_compare_and_set": (1, 12, "I4"),
    # The message is lost: RabbitMQ 3.10 keeps it in the retry queue without ever delivering it.
    "death_headers_kept": (77, 40, ".retry."),
    "silent_when_nothing_to_undo": (0, 12, "I3"),
}
FOUND_EXTERNAL = {
    "gateway_never_asked": (0, 12, "I2"),
    "charged_a_hundredfold": (0, 12, "I2"),
    "mail_never_sent": (0, 12, "I3"),
    "a_key_of_each_try": (0, 12, "I7"),
    "no_correction": (1, 12, "I3"),
    "silent_after_a_confirmation": (1, 12, "I3"),
    # A cancellation message is in transit when the confirmation of its order is sent.
    "no_tombstone_before_the_call": (260, 12, "I7"),
}
LIMIT = 2000


def test_every_mutant_has_its_seed() -> None:
    assert FOUND.keys() == MUTANTS.keys()
    assert len(MUTANTS) == 7
    assert FOUND_EXTERNAL.keys() == EXTERNAL_MUTANTS.keys()
    assert all(seed < LIMIT for seed, _, _ in (FOUND | FOUND_EXTERNAL).values())


@pytest.mark.parametrize("name", [*MUTANTS, *EXTERNAL_MUTANTS])
def test_the_simulation_detects_the_mutant(name: str, databases: Databases) -> None:
    seed, orders, invariant = (FOUND | FOUND_EXTERNAL)[name]
    with pytest.MonkeyPatch.context() as patch:
        (MUTANTS | EXTERNAL_MUTANTS)[name](patch)
        assert any(invariant in found for found in run_plan(plan(seed, orders), databases).found)
    assert run_plan(plan(seed, orders), databases).found == ()


def test_the_search_detects_a_missing_comparison_of_the_amount_paid(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two orders under one id, one is created and the other one paid, without any fault."""
    monkeypatch.setattr("services.commande.rules.ecart", lambda commande, paye: None)
    found = Search(SCOPES[3], 0, databases).run().violations
    assert any(violation.startswith("I2 ") for violation in found), found


@pytest.mark.parametrize("name", ["no_tombstone", "no_compare_and_set", "silent_when_nothing_to_undo"])
def test_the_search_detects_the_mutant(name: str, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guards that a single service holds without a network."""
    MUTANTS[name](monkeypatch)
    assert Search(SCOPES[1], 1, databases).run().violations
