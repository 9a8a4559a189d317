"""`choreography simulate`: its options. `simulate_run` does the work."""

import argparse
import os
from pathlib import Path
from typing import Any

from choregraphie import Settings, UserError
from choregraphie.application import Application
from choregraphie.terminal.arguments import add_json

DEFAULT_REPLAY = Path("simulation-failure.json")

_ABOUT = """\
Run the real services and the real engine over a model of RabbitMQ, in virtual time, with crashes, lost
connections, lost confirms, duplicates, overtaking, calls that succeed without an answer, and more faults; then
check every invariant. A seed determines its run exactly. A failure is shrunk, shown as steps and as a Mermaid
sequence diagram, and saved in a file for --replay. No broker and no settings are needed.

With --exhaustive: instead of some runs with many instances, every order of the steps in the small scopes that the
scenario declares (one instance; one and its cancellation; two that want the last item), with at most --faults
faults.
"""
_EXAMPLES = """\
examples:
  {command} choreography simulate --seed 1 --runs 200
  {command} choreography simulate --exhaustive --faults 2
  {command} choreography simulate --replay simulation-failure.json
exit code: 0 every invariant holds, 1 one does not, 2 a usage error
"""


_OPTIONS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "seed": (1, ("random runs",)),
    "runs": (100, ("random runs",)),
    "instances": (150, ("random runs",)),
    "save": (DEFAULT_REPLAY, ("random runs",)),
    "faults": (2, ("--exhaustive",)),
    "replay": (None, ("--replay",)),
}


def add(actions: Any, application: Application) -> None:
    simulating = actions.add_parser(
        "simulate",
        help="run the services under every fault, in virtual time; exit code 0 or 1",
        description=_ABOUT,
        epilog=_EXAMPLES.format(command=application.command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(simulating, application.saga_set.noun[1])
    add_json(simulating)
    simulating.set_defaults(do=_simulate)


def _add_options(simulating: argparse.ArgumentParser, many: str) -> None:
    """`many`: the noun of several instances."""
    simulating.add_argument("--seed", type=int, help="the first seed (1)")
    simulating.add_argument("--runs", type=_positive, help="how many seeds (100)")
    simulating.add_argument(
        "--instances",
        "--orders",
        type=_positive,
        metavar="NUMBER",
        help=f"{many} per run (150)",
    )
    simulating.add_argument(
        "--exhaustive", action="store_true", help="every order of the steps in the small scopes"
    )
    simulating.add_argument("--faults", type=int, choices=range(4), help="with --exhaustive: at most (2)")
    simulating.add_argument(
        "--replay", type=Path, metavar="FILE", help="repeat one run, from the file of a failure"
    )
    simulating.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help=f"the file for a failure ({DEFAULT_REPLAY})",
    )


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, not {text!r}")
    return int(text)


def _settle(options: argparse.Namespace) -> None:
    """Fill in the defaults. Raises UserError for an option that has no effect."""
    way = "--exhaustive" if options.exhaustive else "--replay" if options.replay else "random runs"
    for name, (default, ways) in _OPTIONS.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
        elif way not in ways:
            raise UserError(f"--{name} has no effect with {way}")


def _simulate(options: argparse.Namespace, settings: Settings) -> int:
    _settle(options)
    # This import takes ten times as long as any other command takes to start.
    from choregraphie.cli import simulate_run as simulating

    try:
        if options.exhaustive:
            return simulating.search(options)
        return simulating.replay_file(options) if options.replay else simulating.run_seeds(options)
    except KeyboardInterrupt:
        # At once: the coroutines of the interrupted run would each report their closed event loop.
        os._exit(130)
