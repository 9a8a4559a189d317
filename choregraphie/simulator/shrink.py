"""Shrinks a failing run: leaves out actions and faults while it still violates the same invariant."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from choregraphie.simulator.plan import ClientAction, Plan
from choregraphie.simulator.run import Outcome

T = TypeVar("T")
Rerun = Callable[[Plan], Outcome]

# Each try is a run. A failure that is still large after this many is reported as it is.
MOST_TRIES = 400


def shrink(failed: Outcome, rerun: Rerun, tries: int = MOST_TRIES) -> Outcome:
    """The smallest run found that violates one of the invariants that `failed` violates."""
    search = _Search(failed, rerun, tries)
    search.attempt(failed.plan.actions, failed.occurred)
    while search.tries_left and _pass(search):
        continue
    return search.best


class _Search:
    def __init__(self, failed: Outcome, rerun: Rerun, tries: int) -> None:
        self.best = failed
        self.tries_left = tries
        self._rerun = rerun
        self._broken = _invariants(failed)

    def attempt(self, actions: Sequence[ClientAction], faults: Sequence[str]) -> bool:
        """Run exactly these. Returns whether it still fails; it is then the best."""
        if not self.tries_left:
            return False
        self.tries_left -= 1
        tried = self._rerun(replace(self.best.plan, actions=tuple(actions), faults=tuple(faults)))
        if not self._broken & _invariants(tried):
            return False
        # A fault that did not occur is not part of the failure.
        self.best = replace(tried, plan=replace(tried.plan, faults=tried.occurred))
        return True


def _pass(search: _Search) -> bool:
    """One pass over actions and faults. Returns whether anything could be left out."""
    before = (search.best.plan.actions, search.best.occurred)
    _reduce(search, lambda: search.best.plan.actions, lambda kept: search.attempt(kept, search.best.occurred))
    _reduce(search, lambda: search.best.occurred, lambda kept: search.attempt(search.best.plan.actions, kept))
    return (search.best.plan.actions, search.best.occurred) != before


def _reduce(search: _Search, current: Callable[[], Sequence[T]], attempt: Callable[[Sequence[T]], bool]) -> None:
    """Leave out halves, then quarters, down to single items."""
    size = max(1, len(current()) // 2)
    while search.tries_left:
        start = 0
        while start < len(current()) and search.tries_left:
            items = current()
            if not attempt([*items[:start], *items[start + size :]]):
                start += size
        if size == 1:
            return
        size //= 2


def _invariants(outcome: Outcome) -> set[str]:
    return {found.partition(":")[0] for found in outcome.found}
