"""What `choreography simulate` does: random runs, the exhaustive search, the replay of one run."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from choregraphie import UserError
from choregraphie.resolution import scenario_of
from choregraphie.simulator import (
    Outcome,
    SearchResult,
    campaign_as_data,
    campaign_as_text,
    load,
    replay,
    run_as_data,
    run_as_text,
    save,
    search_all,
    search_as_data,
    simulate,
)


def search(options: argparse.Namespace) -> int:
    results = search_all(
        scenario_of(options.application),
        options.faults,
        lambda *shown: None if options.json else _print_search(options.faults, *shown),
    )
    shown = [search_as_data(found) for found in results]
    broken = [found for found in shown if found["found"]]
    if options.json:
        print(json.dumps(shown, ensure_ascii=False))
        return 1 if broken else 0
    for found in broken:
        print("\n".join([*(f"  ✗ {what}" for what in found["found"]), "", *found["steps"], "", found["mermaid"]]))
    return 1 if broken else 0


def _print_search(faults: int, found: SearchResult, seconds: float) -> None:
    verdict = "broken" if found.violations else "every invariant holds at every end"
    print(
        f"{found.scope}, up to {faults} faults: {found.states} states, {found.transitions} transitions, "
        f"{found.ends} ends in {seconds:.1f} s: {verdict}",
        flush=True,
    )


def run_seeds(options: argparse.Namespace) -> int:
    with Progress(disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        task = progress.add_task("simulating", total=options.runs)
        campaign = simulate(
            scenario_of(options.application),
            options.seed,
            options.runs,
            options.instances,
            lambda so_far: progress.update(task, completed=so_far.runs),
            lambda failure: _save_unshrunk(failure, options.save),
        )
    print(
        json.dumps(campaign_as_data(campaign), ensure_ascii=False) if options.json else campaign_as_text(campaign)
    )
    if campaign.failure is None:
        return 0
    _save(campaign.failure, options.save)
    print(
        f"to repeat it: {options.application.command} choreography simulate --replay {options.save}",
        file=sys.stderr,
    )
    return 1


def _save_unshrunk(failure: Outcome, path: Path) -> None:
    """Save the failure before it is shrunk: a person who interrupts has the seed and the file."""
    _save(failure, path)
    print(f"seed {failure.plan.seed} breaks {failure.found[0]}", file=sys.stderr)
    print(f"saved in {path}; now shrinking it", file=sys.stderr)


def _save(failure: Outcome, path: Path) -> None:
    try:
        save(failure, path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def replay_file(options: argparse.Namespace) -> int:
    try:
        plan = load(options.replay, scenario_of(options.application))
    except OSError as error:
        raise UserError(f"{options.replay}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{options.replay}: not the file of a failure ({error})") from None
    outcome = replay(scenario_of(options.application), plan)
    print(json.dumps(run_as_data(outcome), ensure_ascii=False) if options.json else run_as_text(outcome))
    for name in sorted(set(plan.faults or ()) - set(outcome.occurred)):
        print(f"did not occur: {name}", file=sys.stderr)
    if not outcome.found:
        print("every invariant holds", file=sys.stderr)
    return 1 if outcome.found else 0
