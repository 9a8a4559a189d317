"""A message that kills whoever works on it goes to the dead letters alone, however many there are."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT
from choregraphie.simulator import Plan, walk
from choregraphie.simulator.final_state import identity, reason_of
from services.scenario import plan

if TYPE_CHECKING:
    from choregraphie.simulator import Books

FEW = ("poison:stock:CMD-01-initiee", "poison:commande:CMD-02-initiee", "poison:stock:CMD-05-initiee")
MANY = tuple(f"poison:{service}:CMD-{n:02}-initiee" for service in ("stock", "commande") for n in range(3, 9))


# The last four took innocents with them: see below.
@pytest.mark.parametrize("seed", [*range(8), 63, 81, 82, 104])
@pytest.mark.parametrize("killers", [FEW, MANY], ids=["few", "many"])
def test_the_innocent_do_not_die_with_it(
    seed: int, killers: tuple[str, ...], books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each death of a worker counts against everything that it holds, up to the delivery limit.

    Before suspicious deliveries were tried one at a time, all that was held together with the killer went to the
    dead letters with it; before the least tried went first, some did when there were two killers; before
    the one tried longest ago did, one whose trials had been cut short waited for two rounds of six killers; and
    while each of these had to kill four times to be suspicious, or copies of an event were tried each on its own,
    that was too often for the others.
    """
    assert dead_by_limit(plan(seed, 20), killers, books, monkeypatch) == set(killers)


@pytest.mark.parametrize("seed", range(4))
def test_the_innocent_do_not_die_with_it_where_calls_are_made(
    seed: int, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = walk(replace(plan(seed, 20), faults=()), books).facts
    reserved = [row["event_id"] for row in quiet.rows("stock", "outbox") if row["type"] == "stock.reserve"]
    killers = tuple(f"poison:paiement:{event_id}" for event_id in reserved[:4])
    assert dead_by_limit(plan(seed, 20), killers, books, monkeypatch) == set(killers)


def dead_by_limit(
    planned: Plan, killers: tuple[str, ...], books: Books, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """What the broker set aside in a run with those killers, as its faults are named; all else is well."""
    # By its name in the list of modules: the package shows the function of the same name.
    running = sys.modules["choregraphie.simulator.run"]
    shipped = running.circumstances
    limit = {"delivery_limit": WORK_DELIVERY_LIMIT, "redrives": 0, "early_redrives": ()}
    monkeypatch.setattr(running, "circumstances", lambda *given: replace(shipped(*given), **limit))
    monkeypatch.setattr(running, "PEACE_SECONDS", 30.0 + 30.0 * len(killers))
    outcome = walk(replace(planned, faults=killers), books)
    assert outcome.found == ()
    return {
        f"poison:{service}:{identity(letter).id}"
        for service, letters in outcome.facts.dead.items()
        for letter in letters
        if reason_of(letter) == "delivery_limit"
    }
