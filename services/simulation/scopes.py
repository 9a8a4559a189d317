"""The small scopes that are searched exhaustively."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from choregraphie import Service
from services.simulation.books import Books
from services.simulation.plan import Act
from services.simulation.search import Found, Scope, Search
from services.simulation.story import mermaid, steps


def _order(number: int, produit: str, quantite: int) -> Act:
    name = f"CMD-{number}"
    return Act(0, "order", name, f"{name}-initiee", "CLIENT-1", produit, quantite, "49.99")


_ONE = _order(1, "PROD-A", 1)
_RIVAL = replace(_ONE, kind="rival", event="CMD-1-rivale", produit="PROD-B", montant="12.34")

SCOPES = (
    Scope("one order", (_ONE,)),
    Scope("one order and its cancellation", (_ONE, Act(0, "cancel", "CMD-1", "CMD-1-annulation"))),
    # Three are on the shelf.
    Scope("two orders on the last item", (_order(1, "PROD-RARE", 2), _order(2, "PROD-RARE", 2))),
    Scope("two orders under one id", (_ONE, _RIVAL)),
)


def search_all(
    services: Iterable[Service],
    faults: int,
    told: Callable[[Found, float], None] = lambda found, seconds: None,
) -> list[Found]:
    """Search every scope of the saga of `services` with up to `faults` faults.

    `told` hears of each, with the seconds it took.
    """
    books, found = Books(services), []
    try:
        for scope in SCOPES:
            began = time.perf_counter()
            found.append(Search(scope, faults, books).run())
            told(found[-1], time.perf_counter() - began)
    finally:
        books.close()
    return found


def as_told(found: Found) -> dict[str, Any]:
    """A search, for a program."""
    return {
        "scope": found.scope,
        "states": found.states,
        "transitions": found.transitions,
        "ends": found.ends,
        "verdict": "broken" if found.violations else "holds",
        "found": list(found.violations),
        "steps": steps(found.path),
        "mermaid": mermaid(found.path, found.violations) if found.violations else None,
    }
