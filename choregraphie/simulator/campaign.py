"""Campaigns: many runs, one seed after the other, or a search of every scope; and their results."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from choregraphie.simulator.databases import Databases
from choregraphie.simulator.exhaustive import Search, SearchResult
from choregraphie.simulator.plan import Plan
from choregraphie.simulator.randomness import Fault
from choregraphie.simulator.run import Outcome, run_plan
from choregraphie.simulator.scenario import Scenario
from choregraphie.simulator.shrink import shrink
from choregraphie.simulator.trace import mermaid, steps

REPLAY_VERSION = 2


@dataclass
class Campaign:
    """The runs so far. `failure` is the first that broke an invariant, shrunk; `seed` is its seed."""

    runs: int = 0
    sagas: int = 0
    seconds: float = 0.0
    virtual_seconds: float = 0.0
    faults: Counter[Fault] = field(default_factory=Counter)
    failure: Outcome | None = None
    seed: int | None = None

    @property
    def sagas_per_second(self) -> float:
        return self.sagas / self.seconds if self.seconds else 0.0

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.sagas += outcome.sagas
        self.virtual_seconds += outcome.virtual_seconds
        self.faults += outcome.faults


def simulate(
    scenario: Scenario,
    first: int,
    runs: int,
    instances: int,
    on_run: Callable[[Campaign], None] = lambda so_far: None,
    on_failure: Callable[[Outcome], None] = lambda failure: None,
) -> Campaign:
    """Run `scenario` with the seeds from `first` on, until one fails.

    `on_run` is called after each run, `on_failure` with the failure before it is shrunk, which can take minutes.
    """
    databases, campaign = Databases(scenario), Campaign()
    try:
        for seed in range(first, first + runs):
            began = time.perf_counter()
            outcome = run_plan(scenario.workload.plan(seed, instances), databases)
            campaign.seconds += time.perf_counter() - began
            campaign.add(outcome)
            if outcome.found:
                campaign.seed = seed
                on_failure(outcome)
                campaign.failure = shrink(outcome, lambda smaller: run_plan(smaller, databases))
                break
            on_run(campaign)
    finally:
        databases.close()
    return campaign


def replay(scenario: Scenario, plan: Plan) -> Outcome:
    """Carry out one plan."""
    databases = Databases(scenario)
    try:
        return run_plan(plan, databases)
    finally:
        databases.close()


def save(failure: Outcome, path: Path) -> None:
    """Write the file that `load` reads. Raises OSError."""
    content = {"version": REPLAY_VERSION, "found": failure.found, **failure.plan.to_json()}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load(path: Path, scenario: Scenario) -> Plan:
    """The plan in the file at `path`. Raises OSError, or ValueError when it is not a replay file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != REPLAY_VERSION:
            raise ValueError(f"version {content['version']}; this program reads {REPLAY_VERSION}")
        plan = Plan.from_json(content, scenario.workload.read_action)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError) as error:
        raise ValueError(f"not a replay file: {error}") from None
    return plan


def campaign_as_data(campaign: Campaign) -> dict[str, Any]:
    """The campaign for a program. The field names are stable."""
    failure = campaign.failure
    return {
        "runs": campaign.runs,
        "sagas": campaign.sagas,
        "sagas_per_second": round(campaign.sagas_per_second),
        "virtual_seconds": round(campaign.virtual_seconds),
        "faults": {fault.value: campaign.faults[fault] for fault in Fault if campaign.faults[fault]},
        "verdict": "broken" if failure else "holds",
        "seed": campaign.seed,
        "failure": run_as_data(failure) if failure else None,
    }


def run_as_data(failure: Outcome) -> dict[str, Any]:
    """One run for a program. The field names are stable."""
    return {
        "found": list(failure.found),
        "steps": steps(failure.trace.entries),
        "mermaid": mermaid(failure.trace.entries, failure.found, failure.speakers),
        "plan": failure.plan.to_json(),
    }


def campaign_as_text(campaign: Campaign) -> str:
    """The campaign for a person."""
    faults = ", ".join(f"{fault.value} {n}" for fault, n in campaign.faults.most_common())
    entries = [
        f"{campaign.runs} runs, {campaign.sagas} sagas, {campaign.virtual_seconds:.0f} virtual seconds "
        f"in {campaign.seconds:.1f} s: {campaign.sagas_per_second:.0f} sagas per second",
        f"{campaign.faults.total()} faults: {faults or 'none'}",
    ]
    if campaign.failure is None:
        return "\n".join([*entries, "every invariant holds"])
    return "\n".join([*entries, f"seed {campaign.seed} breaks:", run_as_text(campaign.failure)])


def run_as_text(failure: Outcome) -> str:
    """One run for a person: violations, steps, diagram."""
    entries = failure.trace.entries
    return "\n".join(
        [
            *(f"  ✗ {found}" for found in failure.found),
            "",
            *steps(entries),
            "",
            mermaid(entries, failure.found, failure.speakers),
        ]
    )


def search_all(
    scenario: Scenario,
    faults: int,
    on_result: Callable[[SearchResult, float], None] = lambda found, seconds: None,
) -> list[SearchResult]:
    """Search every scope of `scenario` with at most `faults` faults.

    `on_result` is called after each scope, with the seconds it took.
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
    """One search for a program. The field names are stable."""
    return {
        "scope": found.scope,
        "states": found.states,
        "transitions": found.transitions,
        "ends": found.ends,
        "verdict": "broken" if found.violations else "holds",
        "found": list(found.violations),
        "steps": steps(found.path),
        "mermaid": mermaid(found.path, found.violations, found.speakers) if found.violations else None,
    }
