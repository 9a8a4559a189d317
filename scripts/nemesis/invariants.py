"""The table of all invariants, each with its checker and its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis import delivery_checkers, effect_checkers, monitor_checker, order_checkers, process_checker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History
    from scripts.nemesis.violation import Violation

    Checker = Callable[[History, Databases], Iterator[Violation]]

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
    "I10": process_checker.clean_processes,
}
# Printed in the report.
MEANINGS = {
    "I1": "stock: available plus held plus sold is the initial stock",
    "I2": "money: a created order was paid once, every other order not at all",
    "I3": "end: every order is created, or cancelled and fully undone, or waits visibly for a person",
    "I4": "one decision: no order is created twice or cancelled twice",
    "I5": "agreement: stock, paiement, commande and an orchestrator agree on every order",
    "I6": "nothing lost: every event was published and reached every service that needs it",
    "I7": "nothing twice: a repeated message had one effect",
    "I8": "dead letters: exactly the messages that must be there are, each with its reason",
    "I9": "monitor: live and rebuilt from the stream, it agrees with the databases",
    "I10": "processes: no crash, no leak, no secret in a log, every worker ends in time",
}
# For scenarios that start no process and no monitor.
WITHOUT_PROCESSES = tuple(name for name in CHECKERS if name not in {"I9", "I10"})


def check_invariants(
    history: History, databases: Databases, invariants: Iterable[str] = tuple(CHECKERS)
) -> list[Violation]:
    """Every violation of `invariants`; empty when they hold."""
    return [violation for name in invariants for violation in CHECKERS[name](history, databases)]


def partly_checked(history: History, databases: Databases) -> dict[str, str]:
    """The invariants that could be checked only in part, each with what was left out."""
    if history.complete:
        return {}
    events = [
        e
        for e in delivery_checkers.expected_events(history, databases).values()
        if e.identity not in history.event_ids
    ]
    orders = monitor_checker.incomplete_orders(history, databases)
    left_out = {"I6": (len(events), "events"), "I9": (len(orders), "orders")}
    lost = "that the stream no longer holds completely"
    return {name: f"without {number} {what} {lost}" for name, (number, what) in left_out.items() if number}
