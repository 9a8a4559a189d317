"""All the invariants that a run is judged by, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis import delivery_checkers, effect_checkers, hygiene_checker, monitor_checker, order_checkers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History
    from scripts.nemesis.violation import Violation

    Checker = Callable[[History, Books], Iterator[Violation]]

CHECKERS: dict[str, Checker] = {
    "I1": order_checkers.stock,
    "I2": effect_checkers.money,
    "I3": order_checkers.termination,
    "I4": order_checkers.one_decision,
    "I5": order_checkers.agreement,
    "I6": delivery_checkers.nothing_lost,
    "I7": effect_checkers.no_double_effect,
    "I8": delivery_checkers.dead_letters,
    "I9": monitor_checker.monitor,
    "I10": hygiene_checker.hygiene,
}
# In the words of somebody who has not read the catalogue of faults.
MEANINGS = {
    "I1": "stock: what is on the shelves plus held plus sold is what there was",
    "I2": "money: a created order has cost its price once, every other order nothing",
    "I3": "end: every order is created, or cancelled and wholly undone, or visibly needs a person",
    "I4": "one decision: no order is created twice or cancelled twice",
    "I5": "agreement: stock, paiement and commande say the same of every order",
    "I6": "nothing lost: every event was published, and reached every service that needs it",
    "I7": "nothing twice: a message that came twice had one effect",
    "I8": "dead letters: exactly the messages that had to be set aside are, with their reason",
    "I9": "monitor: what it says is what the databases say, live and read again from the start",
    "I10": "processes: no crash, no leak, no secret in a log, every worker ends in time",
}
# Without processes of its own, a scenario has nothing to say about hygiene, nor about a monitor.
WITHOUT_PROCESSES = tuple(name for name in CHECKERS if name not in {"I9", "I10"})


def judge(history: History, books: Books, invariants: Iterable[str] = tuple(CHECKERS)) -> list[Violation]:
    """Every violation of `invariants`; none means that they hold."""
    return [violation for name in invariants for violation in CHECKERS[name](history, books)]


def partly(history: History, books: Books) -> dict[str, str]:
    """The invariants that could be judged only in part, each with what was left out."""
    if history.complete:
        return {}
    events = [e for e in delivery_checkers.wanted(history, books).values() if e.identity not in history.heard]
    orders = monitor_checker.unjudged(history, books)
    left_out = {"I6": (len(events), "events"), "I9": (len(orders), "orders")}
    gone = "of which the stream no longer holds everything"
    return {name: f"without {number} {what} {gone}" for name, (number, what) in left_out.items() if number}
