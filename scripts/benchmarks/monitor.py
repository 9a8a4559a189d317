"""The benchmark of the monitor: ingest rate, memory, response times with many orders."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks import growth, ingest
from scripts.cli_parser import positive
from scripts.progress import phases

if TYPE_CHECKING:
    import argparse

ABOUT = __doc__
# The promised figures: events per second while catching up on one core, by the clock and of its processor time;
# the time of a page of the list.
LEAST_EVENTS_PER_SECOND = 3000
LEAST_EVENTS_PER_CPU_SECOND = 10_000
LONGEST_PAGE_MS = 50
# The most that the process may grow from a hundredth of the orders to all of them.
MOST_GROWTH = 1.25


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=positive, default=60_000, help="in the real stream (default: %(default)s)"
    )
    parser.add_argument(
        "--orders", type=positive, default=1_000_000, help="in the projection (default: %(default)s)"
    )
    parser.add_argument("--asked", type=positive, default=40, help="requests per page (default: %(default)s)")
    parser.add_argument(
        "--runs", type=positive, default=3, help="readings of the whole stream (default: %(default)s)"
    )
    parser.add_argument("--only", choices=("absorb", "grow"), help="only one of the two parts")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    figures: dict[str, Any] = {"load": os.getloadavg()}
    ingests, grows = arguments.only != "grow", arguments.only != "absorb"
    with (
        tempfile.TemporaryDirectory(prefix="choregraphie-bench-") as folder,
        phases("bench monitor", _seconds(arguments)) as progress,
    ):
        if ingests:
            progress.begin(f"absorb: {arguments.events} events from a real stream, {arguments.runs} times")
            figures["absorb"] = ingest.measure(Path(folder), arguments.events, arguments.runs)
        if grows:
            progress.begin(
                f"grow: {arguments.orders} orders in the projection, then every page {arguments.asked} times"
            )
            figures["grow"] = growth.measure(Path(folder), arguments.orders, arguments.asked)
    print(json.dumps(figures, indent=2) if arguments.json else _text(figures))
    failed = missed(figures)
    for promise in failed:
        print(f"missed: {promise}")
    return 1 if failed else 0


def _seconds(arguments: argparse.Namespace) -> float:
    """An estimate: 10 s for the broker, 5000 events per second, 5000 orders per second."""
    absorb = 10 + arguments.events * (arguments.runs + 1) / 5000
    grow = 5 + arguments.orders / 5000
    return (absorb if arguments.only != "grow" else 0) + (grow if arguments.only != "absorb" else 0)


def missed(figures: dict[str, Any]) -> list[str]:
    """The promised figures that were not met."""
    failed = []
    absorb, grow = figures.get("absorb"), figures.get("grow")
    if absorb and absorb["events_per_second"]["median"] < LEAST_EVENTS_PER_SECOND:
        failed.append(f"{LEAST_EVENTS_PER_SECOND} events a second on one core")
    if absorb and absorb["events_per_cpu_second"]["median"] < LEAST_EVENTS_PER_CPU_SECOND:
        failed.append(f"{LEAST_EVENTS_PER_CPU_SECOND} events a second of processor time")
    if grow and max(page["p95"] for page in grow["lists_ms"].values()) > LONGEST_PAGE_MS:
        failed.append(f"19 of 20 pages of the list, however filtered, in {LONGEST_PAGE_MS} ms")
    if grow and grow["memory_growth"] > MOST_GROWTH:
        failed.append(f"memory flat within a factor of {MOST_GROWTH}")
    return failed


def _text(figures: dict[str, Any]) -> str:
    lines = [f"load of the machine before: {figures['load'][0]:.1f}"]
    for half in ("absorb", "grow"):
        lines += [f"{half}.{name}: {_value(value)}" for name, value in figures.get(half, {}).items()]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
