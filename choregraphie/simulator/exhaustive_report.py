"""Searching every scope of a scenario, and what is shown of it."""

import time
from collections.abc import Callable
from typing import Any

from choregraphie.simulator.databases import Books
from choregraphie.simulator.exhaustive import Found, Search
from choregraphie.simulator.scenario import Scenario
from choregraphie.simulator.trace_text import mermaid, steps


def search_all(
    scenario: Scenario,
    faults: int,
    told: Callable[[Found, float], None] = lambda found, seconds: None,
) -> list[Found]:
    """Search every scope of `scenario` with up to `faults` faults.

    `told` hears of each, with the seconds it took.
    """
    books, found = Books(scenario), []
    try:
        for scope in scenario.scopes:
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
