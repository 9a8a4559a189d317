"""What `choreography simulate` does: random runs, the exhaustive search, one run again."""

import argparse
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from choregraphie import UserError
from choregraphie.application import Application
from choregraphie.simulator import (
    Found,
    Outcome,
    Scenario,
    account,
    as_data,
    as_text,
    as_told,
    load,
    replay,
    save,
    search_all,
    simulate,
    told_of,
)


def scenario_of(options: argparse.Namespace) -> Scenario:
    """The scenario of the application. Raises UserError when it has none."""
    application: Application = options.application
    if not application.scenario:
        raise UserError(f"{application.name} declares no scenario to simulate")
    module, _, name = application.scenario.partition(":")
    scenario: Scenario = getattr(importlib.import_module(module), name)
    return scenario


def search(options: argparse.Namespace) -> int:
    everything = search_all(
        scenario_of(options), options.faults, lambda *told: None if options.json else _tell(options.faults, *told)
    )
    told = [as_told(found) for found in everything]
    broken = [found for found in told if found["found"]]
    if options.json:
        print(json.dumps(told, ensure_ascii=False))
        return 1 if broken else 0
    for found in broken:
        print("\n".join([*(f"  ✗ {what}" for what in found["found"]), "", *found["steps"], "", found["mermaid"]]))
    return 1 if broken else 0


def _tell(faults: int, found: Found, seconds: float) -> None:
    verdict = "broken" if found.violations else "every invariant holds at every end"
    print(
        f"{found.scope}, up to {faults} faults: {found.states} states, {found.transitions} transitions, "
        f"{found.ends} ends in {seconds:.1f} s: {verdict}",
        flush=True,
    )


def walk(options: argparse.Namespace) -> int:
    with Progress(disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        task = progress.add_task("simulating", total=options.runs)
        campaign = simulate(
            scenario_of(options),
            options.seed,
            options.runs,
            options.orders,
            lambda so_far: progress.update(task, completed=so_far.runs),
            lambda failure: _keep_first(failure, options.save),
        )
    print(json.dumps(as_data(campaign), ensure_ascii=False) if options.json else as_text(campaign))
    if campaign.failure is None:
        return 0
    _save(campaign.failure, options.save)
    print(f"to see it again: python -m services choreography simulate --replay {options.save}", file=sys.stderr)
    return 1


def _keep_first(failure: Outcome, path: Path) -> None:
    """Whoever loses patience with the shrinking has the seed and the file."""
    _save(failure, path)
    print(f"seed {failure.plan.seed} breaks {failure.found[0]}", file=sys.stderr)
    print(f"kept in {path}; now making it smaller", file=sys.stderr)


def _save(failure: Outcome, path: Path) -> None:
    try:
        save(failure, path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def replay_file(options: argparse.Namespace) -> int:
    try:
        given = load(options.replay, scenario_of(options))
    except OSError as error:
        raise UserError(f"{options.replay}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{options.replay}: not the file of a failure ({error})") from None
    outcome = replay(scenario_of(options), given)
    print(json.dumps(told_of(outcome), ensure_ascii=False) if options.json else account(outcome))
    for name in sorted(set(given.faults or ()) - set(outcome.struck)):
        print(f"did not strike: {name}", file=sys.stderr)
    if not outcome.found:
        print("every invariant holds", file=sys.stderr)
    return 1 if outcome.found else 0
