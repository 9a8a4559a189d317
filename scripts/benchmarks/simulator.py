"""The benchmark of the simulator: sagas per second with faults, on one core."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import choregraphie.simulator  # noqa: F401 - a missing package must show here, so that the bench installs it
from scripts.cli_parser import positive
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    import argparse

ABOUT = __doc__
ROOT = Path(__file__).resolve().parents[2]
# The promised figure of `choreography simulate`, as it reports it itself.
LEAST_SAGAS_PER_SECOND = 200
# The machine's speed drifts: each figure comes with the time of this many additions just before it.
_ADDITIONS = 5_000_000


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=positive, default=15, help="seeds in each measurement (default: %(default)s)"
    )
    parser.add_argument("--times", type=positive, default=5, help="measurements (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    # A seed takes about half a second, the start of a process one second.
    seconds = arguments.times * (1.5 + arguments.runs * 0.5)
    with phases("bench simulator", seconds) as progress:
        figures = measure(arguments.runs, arguments.times, progress)
    print(json.dumps(figures, indent=2) if arguments.json else _text(figures))
    failed = missed(figures)
    for promise in failed:
        print(f"missed: {promise}", file=sys.stderr if arguments.json else sys.stdout)
    return 1 if failed else 0


def measure(runs: int, times: int, progress: Phases) -> dict[str, Any]:
    """`times` measurements of the same `runs` seeds, each in its own process."""
    load, each = os.getloadavg(), []
    for number in range(1, times + 1):
        progress.begin(f"measurement {number} of {times}")
        additions = _seconds_for_additions()
        done = _simulate(runs)
        each.append({"sagas_per_second": done["sagas_per_second"], "additions_s": round(additions, 2)})
    rates = [one["sagas_per_second"] for one in each]
    spread = {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}
    return {
        "load": load,
        "sagas": done["sagas"],
        "faults": sum(done["faults"].values()),
        "sagas_per_second": spread,
        "each": each,
    }


def missed(figures: dict[str, Any]) -> list[str]:
    """The promised figures that were not met."""
    met = figures["sagas_per_second"]["median"] >= LEAST_SAGAS_PER_SECOND
    return [] if met else [f"{LEAST_SAGAS_PER_SECOND} sagas a second on one core"]


def _simulate(runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "services", "choreography", "simulate", "--seed", "1", "--json"]
    done = subprocess.run(  # noqa: S603 - our own
        [*command, "--runs", str(runs)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"scripts/bench: {done.stderr.strip() or done.stdout.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _seconds_for_additions() -> float:
    began = time.perf_counter()
    for number in range(_ADDITIONS):
        number + 1
    return time.perf_counter() - began


def _text(figures: dict[str, Any]) -> str:
    spread = figures["sagas_per_second"]
    each = (f"{one['sagas_per_second']} ({one['additions_s']} s)" for one in figures["each"])
    return "\n".join(
        [
            f"load of the machine before: {figures['load'][0]:.1f}",
            f"sagas: {figures['sagas']}, with {figures['faults']} faults, in each measurement",
            f"sagas per second: median {spread['median']}, {spread['least']} to {spread['most']}",
            f"each, and the time of {_ADDITIONS:,} additions before it: {', '.join(each)}",
        ]
    )
