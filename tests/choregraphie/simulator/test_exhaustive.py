"""The exhaustive search of the small scopes finds no violation at any end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.simulator import Search
from choregraphie.simulator.exhaustive import State
from services.scenario import SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from choregraphie.simulator import Databases, Scope
    from choregraphie.simulator.stepper import Effect


@pytest.mark.parametrize(
    ("scope", "faults"), [(SCOPES[0], 2), (SCOPES[1], 1), (SCOPES[2], 0), (SCOPES[3], 1)], ids=str
)
def test_every_invariant_holds_at_every_end(scope: Scope, faults: int, databases: Databases) -> None:
    found = Search(scope, faults, databases).run()
    assert not found.violations
    assert found.ends > 1
    assert found.states > 100 * faults


class Unreduced(Search):
    """The search without its reductions."""

    def _steps(self, state: State) -> Iterator[tuple[int, int, Effect]]:
        downs = [number for number in range(len(self._steppers)) if state.down >> number & 1]
        yield from self._every(state, self._deliverable(state), downs)


def contents_of_ends(search: Search) -> set[tuple[object, ...]]:
    """The content of each end, independent of the numbers that the search gave it."""
    return {
        (
            tuple(s.states[n].canonical for s, n in zip(search._steppers, services, strict=True)),
            tuple(sorted(repr(search._messages.of(message)) for message in dead)),
        )
        for services, dead in search.ended
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("scope", "faults"), [(SCOPES[0], 0), (SCOPES[0], 1), (SCOPES[1], 0), (SCOPES[3], 0)])
def test_the_reductions_miss_no_end(scope: Scope, faults: int, databases: Databases) -> None:
    reduced, whole = Search(scope, faults, databases), Unreduced(scope, faults, databases)
    few, many = reduced.run(), whole.run()
    assert contents_of_ends(reduced) == contents_of_ends(whole)
    assert few.states < many.states


def test_more_faults_lead_to_more_states(databases: Databases) -> None:
    states = [Search(SCOPES[0], faults, databases).run().states for faults in (0, 1, 2)]
    assert states == sorted(set(states))


def test_a_search_is_the_same_every_time(databases: Databases) -> None:
    first, second = (Search(SCOPES[1], 1, databases).run() for _ in range(2))
    assert first == second
