"""A message that kills whoever works on it goes to the dead letters alone, however many there are."""

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


# The last four took innocents with them: see below.
@pytest.mark.parametrize("seed", [*range(8), 63, 81, 82, 104])
@pytest.mark.parametrize("killers", [FEW, MANY], ids=["few", "many"])
def test_the_innocent_do_not_die_with_it(
    seed: int, killers: tuple[str, ...], databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each death of a worker counts against everything that it holds, up to the delivery limit.

    Before suspicious deliveries were tried one at a time, all that was held together with the killer went to the
    dead letters with it; before the least tried went first, some did when there were two killers; before
    the one tried longest ago did, one whose trials had been cut short waited for two rounds of six killers; and
    while each of these had to kill four times to be suspicious, or copies of an event were tried each on its own,
    that was too often for the others.
    """
    assert dead_by_limit(plan(seed, 20), killers, databases, monkeypatch) == set(killers)


@pytest.mark.parametrize("seed", range(4))
def test_the_innocent_do_not_die_with_it_where_calls_are_made(
    seed: int, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = run_plan(replace(plan(seed, 20), faults=()), databases).final_state
    reserved = [row["event_id"] for row in quiet.rows("stock", "outbox") if row["type"] == "stock.reserve"]
    killers = tuple(f"poison:paiement:{event_id}" for event_id in reserved[:4])
    assert dead_by_limit(plan(seed, 20), killers, databases, monkeypatch) == set(killers)


def dead_by_limit(
    planned: Plan, killers: tuple[str, ...], databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """What the broker set aside in a run with those killers, as its faults are named; all else is well."""
    limit: dict[str, Any] = {"delivery_limit": WORK_DELIVERY_LIMIT, "redrives": 0, "early_redrives": ()}
    module = "choregraphie.simulator.run"
    monkeypatch.setattr(f"{module}.run_parameters", lambda *given: replace(run_parameters(*given), **limit))
    monkeypatch.setattr(f"{module}.FAULTS_SECONDS", 30.0 + 30.0 * len(killers))
    outcome = run_plan(replace(planned, faults=killers), databases)
    assert outcome.found == ()
    return {
        f"poison:{service}:{identity(message).id}"
        for service, messages in outcome.final_state.dead.items()
        for message in messages
        if reason_of(message) == "delivery_limit"
    }
