"""A poison message alone is dead-lettered, however many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT
from choregraphie.simulator import Plan, run_plan
from choregraphie.simulator.final_state import identity, reason_of
from choregraphie.simulator.scenario import run_parameters
from services.scenario import plan

if TYPE_CHECKING:
    from choregraphie.simulator import Databases

FEW = ("poison:stock:CMD-01-initiee", "poison:commande:CMD-02-initiee", "poison:stock:CMD-05-initiee")
MANY = tuple(f"poison:{service}:CMD-{n:02}-initiee" for service in ("stock", "commande") for n in range(3, 9))


# With the last four seeds, other messages were once dead-lettered as well: see below.
@pytest.mark.parametrize("seed", [*range(8), 63, 81, 82, 104])
@pytest.mark.parametrize("poison", [FEW, MANY], ids=["few", "many"])
def test_no_other_message_is_dead_lettered(
    seed: int, poison: tuple[str, ...], databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each crash of a worker counts against every delivery that it holds, up to the delivery limit.

    Other messages were dead-lettered together with poison ones before these changes: suspicious deliveries are
    tried one at a time; those tried least go first; of these, the one tried longest ago (with six poison messages,
    one whose trials had been cut short waited two rounds). A delivery is also suspicious after fewer than four
    crashes, and copies of an event are tried together.
    """
    assert dead_lettered_by_limit(plan(seed, 20), poison, databases, monkeypatch) == set(poison)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_message_is_dead_lettered_where_calls_are_made(
    seed: int, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_faults = run_plan(replace(plan(seed, 20), faults=()), databases).final_state
    reserved = [
        row["event_id"] for row in without_faults.rows("stock", "outbox") if row["type"] == "stock.reserve"
    ]
    poison = tuple(f"poison:paiement:{event_id}" for event_id in reserved[:4])
    assert dead_lettered_by_limit(plan(seed, 20), poison, databases, monkeypatch) == set(poison)


def dead_lettered_by_limit(
    planned: Plan, poison: tuple[str, ...], databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """The messages that the broker dead-lettered in a run with these poison faults; it has no violation."""
    limit: dict[str, Any] = {"delivery_limit": WORK_DELIVERY_LIMIT, "redrives": 0, "early_redrives": ()}
    module = "choregraphie.simulator.run"
    monkeypatch.setattr(f"{module}.run_parameters", lambda *given: replace(run_parameters(*given), **limit))
    monkeypatch.setattr(f"{module}.FAULTS_SECONDS", 30.0 + 30.0 * len(poison))
    outcome = run_plan(replace(planned, faults=poison), databases)
    assert outcome.found == ()
    return {
        f"poison:{service}:{identity(message).id}"
        for service, messages in outcome.final_state.dead.items()
        for message in messages
        if reason_of(message) == "delivery_limit"
    }
