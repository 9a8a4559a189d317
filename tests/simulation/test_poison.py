"""A message that kills whoever works on it goes to the dead letters alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from contracts.topology import WORK_DELIVERY_LIMIT
from services.simulation import plan, walk
from services.simulation.facts import event_id, reason_of

if TYPE_CHECKING:
    from services.simulation import Books

KILLERS = ("poison:stock:CMD-01-initiee", "poison:commande:CMD-02-initiee", "poison:stock:CMD-05-initiee")


@pytest.mark.parametrize("seed", range(8))
def test_the_innocent_do_not_die_with_it(seed: int, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each death of a worker counts against everything that it holds, up to the delivery limit.

    Before suspicious deliveries were taken in any order, and one acknowledged before the next, all that was held
    together with the killer went to the dead letters with it.
    """
    # By its name in the list of modules: the package shows the function of the same name.
    running = sys.modules["services.simulation.walk"]
    shipped = running.circumstances
    limit = {"delivery_limit": WORK_DELIVERY_LIMIT, "redrives": 0, "early_redrives": ()}
    monkeypatch.setattr(running, "circumstances", lambda *given: replace(shipped(*given), **limit))
    monkeypatch.setattr(running, "PEACE_SECONDS", 30.0)
    outcome = walk(replace(plan(seed, 20), faults=KILLERS), books)
    dead = {
        f"poison:{service}:{event_id(letter)}"
        for service, letters in outcome.facts.dead.items()
        for letter in letters
        if reason_of(letter) == "delivery_limit"
    }
    assert outcome.found == ()
    assert dead == set(KILLERS)
