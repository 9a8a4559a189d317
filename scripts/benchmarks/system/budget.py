"""The benchmark of the budget: what one delivery costs a worker, line by line, in CPU µs, beside the budget.

The delivery is `commande.initiee` at `stock`, which says `stock.reserve`. The stages are timed one after another
on groups of 64, with the engine's own functions, on a real broker and a SQLite file; then a whole worker. What the
lines do not explain of the whole worker is everything else: tasks, queues, threads, counters, logs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system import machine, options
from scripts.benchmarks.system.broker import Broker, declare_topology, private_broker
from scripts.benchmarks.system.contenders import Contender, Place
from scripts.benchmarks.system.figures import Spread
from scripts.benchmarks.system.load import Publisher, bodies, catalogue
from scripts.benchmarks.system.report import table
from scripts.cli_parser import positive
from scripts.progress import phases

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

ABOUT = __doc__
# The budget of a delivery in µs, when 1 650 orders a second are to be done on two cores.
BUDGET = {
    "frames": ("frames in", 10),
    "envelope": ("reading and checking the envelope", 15),
    "rows": ("rows, inbox, journal, outbox: loaded and written", 60),
    "reaction": ("reaction and envelope out", 15),
    "publish": ("publishing and acknowledging", 5),
    "else": ("everything else", 15),
}
# All of them fit the largest prefetch, so that they are received without an acknowledgement between.
PARTS_DELIVERIES, WHOLE_DELIVERIES = 1984, 6400
_PREFETCH = "2000"
_LONGEST_SECONDS = 180
_ROUND_SECONDS = 15


def add(parser: argparse.ArgumentParser) -> None:
    options.add_engines(parser)
    parser.add_argument("--rounds", type=positive, help="of each contender (default: 5; quick: 2)")


def run(arguments: argparse.Namespace) -> int:
    contenders = options.chosen(arguments)
    turns = arguments.rounds or (2 if arguments.quick else 5)
    figures: dict[str, Any] = {"machine": machine.described(), "rounds": []}
    with (
        phases("bench budget", turns * len(contenders) * _ROUND_SECONDS) as progress,
        tempfile.TemporaryDirectory(prefix="choregraphie-bench-") as folder,
        private_broker(Path(folder)) as broker,
    ):
        for turn, contender in options.in_turns(contenders, turns):
            progress.begin(f"round {turn + 1} of {turns}: {contender.name}")
            lines = measure(contender, broker, f"{contender.name}-{turn}")
            figures["rounds"].append({"turn": turn, "contender": contender.name, "us": lines})
    path = machine.write("budget", figures)
    print(json.dumps(figures, indent=2) if arguments.json else f"{text(figures, contenders)}\n\n{path}")
    return 0


def measure(contender: Contender, broker: Broker, name: str) -> dict[str, float]:
    """The lines of the budget in µs, and the whole."""
    found = _probe(contender, broker, f"{name}-parts", "parts", PARTS_DELIVERIES)
    found |= _probe(contender, broker, f"{name}-whole", "whole", WHOLE_DELIVERIES)
    return lines_of(found)


def lines_of(found: dict[str, float]) -> dict[str, float]:
    """The measured parts, and what they leave of the whole; less than nothing when they cost more one by one."""
    parts = {name: us for name, us in found.items() if name != "whole"}
    return {**parts, "else": found["whole"] - sum(parts.values()), "whole": found["whole"]}


def _probe(contender: Contender, broker: Broker, vhost: str, what: str, deliveries: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="choregraphie-budget-") as path, broker.virtual_host(vhost) as url:
        folder = Path(path)
        declare_topology(url)
        publisher = Publisher(url, bodies())
        publisher.publish(deliveries)
        publisher.wait(1)
        publisher.close()
        place = Place(url, folder, catalogue(folder / "catalogue.toml"))
        prefetch = {"SAGA_PREFETCH": _PREFETCH} if what == "parts" else {}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        command = [sys.executable, str(Path(__file__).with_name("budget_probe.py")), what, str(deliveries)]
        ran = subprocess.run(  # noqa: S603 - our own script
            command,
            cwd=contender.engine,
            env=kept | contender.settings(place) | prefetch,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    if ran.returncode:
        raise RuntimeError(f"{contender.name}: {ran.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def text(figures: dict[str, Any], contenders: Sequence[Contender]) -> str:
    """The table: a line for each part, with the spread of each contender."""
    names = [one.name for one in contenders]
    head = ["CPU µs a delivery", "budget", *(f"{name}: least – median – most" for name in names)]
    rows = [head]
    lines = {**BUDGET, "whole": ("together", sum(budget for _, budget in BUDGET.values()))}
    for line, (shown, budget) in lines.items():
        spreads = [
            Spread.of(one["us"][line] for one in figures["rounds"] if one["contender"] == name) for name in names
        ]
        rows.append([shown, str(budget), *(spread.text() for spread in spreads)])
    load = f"load of the machine before: {figures['machine']['load']:.1f}; groups of 64"
    return "\n".join([load, "", *table(rows)])
