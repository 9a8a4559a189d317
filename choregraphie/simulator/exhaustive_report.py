"""Searching every scope of a scenario, and what is shown of it."""

import time
from collections.abc import Callable
from typing import Any

from choregraphie.simulator.databases import Databases
from choregraphie.simulator.exhaustive import Search, SearchResult
from choregraphie.simulator.scenario import Scenario
from choregraphie.simulator.trace_text import mermaid, steps


def search_all(
    scenario: Scenario,
    faults: int,
    on_result: Callable[[SearchResult, float], None] = lambda found, seconds: None,
) -> list[SearchResult]:
    """Search every scope of `scenario` with up to `faults` faults.

    `told` hears of each, with the seconds it took.
    """
    databases, found = Databases(scenario), []
    try:
        for scope in scenario.scopes:
            began = time.perf_counter()
            found.append(Search(scope, faults, databases).run())
            on_result(found[-1], time.perf_counter() - began)
    finally:
        databases.close()
    return found


def search_as_data(found: SearchResult) -> dict[str, Any]:
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
