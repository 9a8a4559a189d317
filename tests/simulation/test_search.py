"""Every interleaving of the small scopes, and nothing is wrong at any of their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.simulation import Search
from services.simulation.scopes import SCOPES

if TYPE_CHECKING:
    from services.simulation import Books, Scope


@pytest.mark.parametrize(("scope", "faults"), [(SCOPES[0], 2), (SCOPES[1], 1), (SCOPES[2], 0)], ids=str)
def test_every_end_is_well(scope: Scope, faults: int, books: Books) -> None:
    found = Search(scope, faults, books).run()
    assert not found.violations
    assert found.ends > 1
    assert found.states > 100 * faults


def test_more_faults_lead_to_more_states(books: Books) -> None:
    states = [Search(SCOPES[0], faults, books).run().states for faults in (0, 1, 2)]
    assert states == sorted(set(states))


def test_a_search_is_the_same_every_time(books: Books) -> None:
    first, second = (Search(SCOPES[1], 1, books).run() for _ in range(2))
    assert first == second
