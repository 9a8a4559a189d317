"""All the invariants that a run is judged by, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos import checkers, delivery_checkers, monitor_checker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.chaos.books import Books
    from tests.chaos.history import History
    from tests.chaos.verdicts import Violation

    Checker = Callable[[History, Books], Iterator[Violation]]

CHECKERS: dict[str, Checker] = {
    "I1": checkers.stock,
    "I2": checkers.money,
    "I3": checkers.termination,
    "I4": checkers.one_decision,
    "I5": checkers.agreement,
    "I6": delivery_checkers.nothing_lost,
    "I7": checkers.no_double_effect,
    "I8": delivery_checkers.dead_letters,
    "I9": monitor_checker.monitor,
    "I10": delivery_checkers.hygiene,
}
# Without processes of its own, a scenario has nothing to say about hygiene, nor about a monitor.
WITHOUT_PROCESSES = tuple(name for name in CHECKERS if name not in {"I9", "I10"})


def judge(history: History, books: Books, invariants: Iterable[str] = tuple(CHECKERS)) -> list[Violation]:
    """Every violation of `invariants`; none means that they hold."""
    return [violation for name in invariants for violation in CHECKERS[name](history, books)]
