"""Many runs, one seed after the other; and what is shown of them."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from choregraphie.simulator.databases import Books
from choregraphie.simulator.randomness import Fault
from choregraphie.simulator.run import Outcome, walk
from choregraphie.simulator.scenario import Scenario
from choregraphie.simulator.shrink import shrink
from choregraphie.simulator.trace_text import mermaid, steps
from choregraphie.simulator.workload import Plan

REPLAY_VERSION = 1


@dataclass
class Campaign:
    """What came of the runs so far. `failure` is the first that broke an invariant, shrunk."""

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
    orders: int,
    told: Callable[[Campaign], None] = lambda so_far: None,
    broken: Callable[[Outcome], None] = lambda failure: None,
) -> Campaign:
    """Run `scenario` on the seeds from `first` on until one fails; `told` hears of each, and `broken` of the
    failure before it is made smaller, which can take long."""
    books, campaign = Books(scenario), Campaign()
    try:
        for seed in range(first, first + runs):
            began = time.perf_counter()
            outcome = walk(scenario.plan(seed, orders), books)
            campaign.seconds += time.perf_counter() - began
            campaign.add(outcome)
            if outcome.found:
                campaign.seed = seed
                broken(outcome)
                campaign.failure = shrink(outcome, lambda smaller: walk(smaller, books))
                break
            told(campaign)
    finally:
        books.close()
    return campaign


def replay(scenario: Scenario, given: Plan) -> Outcome:
    """Carry one plan out."""
    books = Books(scenario)
    try:
        return walk(given, books)
    finally:
        books.close()


def save(failure: Outcome, path: Path) -> None:
    """Write the file that `load` reads. Raises OSError."""
    content = {"version": REPLAY_VERSION, "found": failure.found, **failure.plan.to_json()}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load(path: Path, scenario: Scenario) -> Plan:
    """Raises OSError, or ValueError when it is not a replay file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != REPLAY_VERSION:
            raise ValueError(f"version {content['version']}; this program reads {REPLAY_VERSION}")
        given = Plan.from_json(content, scenario.read_act)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a replay file: {error}") from None
    return given


def as_data(campaign: Campaign) -> dict[str, Any]:
    """For a program."""
    failure = campaign.failure
    return {
        "runs": campaign.runs,
        "sagas": campaign.sagas,
        "sagas_per_second": round(campaign.sagas_per_second),
        "virtual_seconds": round(campaign.virtual_seconds),
        "faults": {fault.value: campaign.faults[fault] for fault in Fault if campaign.faults[fault]},
        "verdict": "broken" if failure else "holds",
        "seed": campaign.seed,
        "failure": told_of(failure) if failure else None,
    }


def told_of(failure: Outcome) -> dict[str, Any]:
    """One run, for a program."""
    return {
        "found": list(failure.found),
        "steps": steps(failure.diary.lines),
        "mermaid": mermaid(failure.diary.lines, failure.found),
        "plan": failure.plan.to_json(),
    }


def as_text(campaign: Campaign) -> str:
    """For a person."""
    faults = ", ".join(f"{fault.value} {n}" for fault, n in campaign.faults.most_common())
    lines = [
        f"{campaign.runs} runs, {campaign.sagas} sagas, {campaign.virtual_seconds:.0f} virtual seconds "
        f"in {campaign.seconds:.1f} s: {campaign.sagas_per_second:.0f} sagas per second",
        f"{campaign.faults.total()} faults: {faults or 'none'}",
    ]
    if campaign.failure is None:
        return "\n".join([*lines, "every invariant holds"])
    return "\n".join([*lines, f"seed {campaign.seed} breaks:", account(campaign.failure)])


def account(failure: Outcome) -> str:
    """One run, for a person."""
    lines = failure.diary.lines
    return "\n".join(
        [*(f"  ✗ {found}" for found in failure.found), "", *steps(lines), "", mermaid(lines, failure.found)]
    )
