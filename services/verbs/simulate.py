"""`choreography simulate`: the services under every fault, in virtual time; one seed is one run."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from services.runtime import Settings, UserError
from services.simulation import (
    Found,
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
from services.verbs.catalogue import SERVICES

DEFAULT_REPLAY = Path("simulation-failure.json")

_ABOUT = """\
Run the real services and their real runtime over a model of RabbitMQ, in virtual time, with crashes, lost
connections, lost confirms, duplicates, overtaking, calls that fail after they were carried out, and the rest of
the catalogue; then check every invariant. One seed is one run, exactly. A failure is shrunk, told as steps and
as a Mermaid sequence diagram, and kept in a file for --replay. No broker and no settings are needed.

With --exhaustive: not some runs of many orders, but every order of every step of a small scope (one order; one
order and its cancellation; two orders on the last item; two under one id), with up to --faults faults.
"""
_EXAMPLES = """\
examples:
  python -m services choreography simulate --seed 1 --runs 200
  python -m services choreography simulate --exhaustive --faults 2
  python -m services choreography simulate --replay simulation-failure.json
exit code: 0 every invariant holds, 1 one does not, 2 a bad argument
"""


def add(actions: Any) -> None:
    simulating = actions.add_parser(
        "simulate",
        help="run the services under every fault, in virtual time; exit code 0 or 1",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulating.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    simulating.add_argument("--runs", type=_positive, default=100, help="how many seeds (100)")
    simulating.add_argument("--orders", type=_positive, default=150, help="orders per run (150)")
    simulating.add_argument("--exhaustive", action="store_true", help="every interleaving of the small scopes")
    simulating.add_argument(
        "--faults", type=int, choices=range(4), default=2, help="with --exhaustive: at most (2)"
    )
    simulating.add_argument(
        "--replay", type=Path, metavar="FILE", help="one run again, from the file of a failure"
    )
    simulating.add_argument(
        "--save",
        type=Path,
        default=DEFAULT_REPLAY,
        metavar="FILE",
        help=f"where a failure is kept ({DEFAULT_REPLAY})",
    )
    simulating.add_argument("--json", action="store_true", help="for programs")
    simulating.set_defaults(do=_simulate)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _simulate(options: argparse.Namespace, settings: Settings) -> int:
    try:
        if options.exhaustive:
            return _search(options)
        return _replay(options) if options.replay else _walk(options)
    except KeyboardInterrupt:
        # At once: the coroutines of the run that is broken off would complain, one by one, of their lost loop.
        os._exit(130)


def _search(options: argparse.Namespace) -> int:
    everything = search_all(
        SERVICES.values(), options.faults, lambda *told: None if options.json else _tell(options.faults, *told)
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


def _walk(options: argparse.Namespace) -> int:
    with Progress(disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        task = progress.add_task("simulating", total=options.runs)
        campaign = simulate(
            SERVICES.values(),
            options.seed,
            options.runs,
            options.orders,
            lambda so_far: progress.update(task, completed=so_far.runs),
        )
    print(json.dumps(as_data(campaign), ensure_ascii=False) if options.json else as_text(campaign))
    if campaign.failure is None:
        return 0
    try:
        save(campaign.failure, options.save)
    except OSError as error:
        raise UserError(f"{options.save}: {error.strerror}") from None
    print(f"to see it again: python -m services choreography simulate --replay {options.save}", file=sys.stderr)
    return 1


def _replay(options: argparse.Namespace) -> int:
    try:
        given = load(options.replay)
    except OSError as error:
        raise UserError(f"{options.replay}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{options.replay}: not the file of a failure ({error})") from None
    outcome = replay(SERVICES.values(), given)
    print(json.dumps(told_of(outcome), ensure_ascii=False) if options.json else account(outcome))
    if not outcome.found:
        print("every invariant holds", file=sys.stderr)
    return 1 if outcome.found else 0
