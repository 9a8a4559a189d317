"""The benchmark of the prover: a check by number of services, with and without reduction, on one core."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from choregraphie.prover import TooLarge, prove
from scripts.benchmarks.choreographies import SHAPES
from scripts.cli_parser import positive
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    import argparse

    from choregraphie.saga.choreography import Choreography

ABOUT = __doc__
# The promised figure: ten services, in seconds of one core.
PROMISED_SERVICES, PROMISED_SECONDS = 10, 10


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--services", type=positive, nargs="+", default=[4, 6, 8, 10], metavar="N")
    parser.add_argument("--times", type=positive, default=5, help="measurements of each (default: %(default)s)")
    parser.add_argument(
        "--most",
        type=positive,
        default=300_000,
        help="the full exploration is stopped at so many states (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    rows = [(shape, services) for shape in SHAPES for services in arguments.services]
    # The full exploration visits some 20 000 states a second, and is stopped once for each of the larger ones.
    seconds = len(rows) * (arguments.times + 3) / 4 * arguments.most / 20_000
    with phases("bench prover", seconds) as progress:
        figures = [measure(shape, services, arguments.times, arguments.most, progress) for shape, services in rows]
    load = os.getloadavg()[0]
    print(json.dumps({"load": load, "checks": figures}, indent=2) if arguments.json else _text(figures, load))
    failed = missed(figures)
    for promise in failed:
        print(f"missed: {promise}", file=sys.stderr if arguments.json else sys.stdout)
    return 1 if failed else 0


def measure(shape: str, services: int, times: int, most: int, progress: Phases) -> dict[str, Any]:
    """`times` measurements of the full exploration and of the reduced one, by turns."""
    progress.begin(f"{shape}, {services} services")
    choreography = SHAPES[shape](services)
    seconds: dict[str, list[float]] = {"full": [], "reduced": []}
    states: dict[str, int | None] = {}
    for _ in range(times):
        for name, full in (("full", True), ("reduced", False)):
            if states.get(name, 0) is not None:
                took, states[name] = _timed(choreography, most, full=full)
                seconds[name].append(took)
    figures: dict[str, Any] = {"shape": shape, "services": services}
    for name, each in seconds.items():
        figures[name] = {"states": states[name], "seconds": _spread(each)}
    if states["full"] is not None:
        figures["ratio"] = _spread([full / reduced for full, reduced in zip(*seconds.values(), strict=True)])
    return figures


def _timed(choreography: Choreography, most: int, *, full: bool) -> tuple[float, int | None]:
    """The processor time of a check in seconds, and the states visited; None when they were too many."""
    began = time.process_time()
    try:
        proof = prove(choreography, full=full, most=most)
    except TooLarge:
        return time.process_time() - began, None
    if not proof.holds:
        raise SystemExit(f"scripts/bench: this choreography must hold: {proof.violations[0].what}")
    return time.process_time() - began, proof.space.explored.states


def _spread(each: list[float]) -> dict[str, float]:
    figures = {"median": statistics.median(each), "least": min(each), "most": max(each)}
    return {name: float(f"{figure:.3g}") for name, figure in figures.items()}


def missed(figures: list[dict[str, Any]]) -> list[str]:
    """The promised figures that were not met."""
    return [
        f"{row['shape']}: {PROMISED_SERVICES} services within {PROMISED_SECONDS} s of one core"
        for row in figures
        if row["services"] <= PROMISED_SERVICES
        and (row["reduced"]["states"] is None or row["reduced"]["seconds"]["most"] > PROMISED_SECONDS)
    ]


def _text(figures: list[dict[str, Any]], load: float) -> str:
    lines = [f"load of the machine: {load:.1f}; seconds of one core: median, least to most"]
    for row in figures:
        lines.append(f"{row['shape']}, {row['services']} services")
        for name in ("full", "reduced"):
            states = row[name]["states"]
            what = "stopped: too many states" if states is None else f"{states} states"
            lines.append(f"  {name:8} {_range(row[name]['seconds'])} s, {what}")
        if "ratio" in row:
            lines.append(f"  ratio    {_range(row['ratio'])}")
    return "\n".join(lines)


def _range(spread: dict[str, float]) -> str:
    return f"{spread['median']:g}, {spread['least']:g} to {spread['most']:g}"
