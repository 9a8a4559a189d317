"""Runs the comparison and prints its tables: `./scripts/compare`."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system import machine
from scripts.benchmarks.system.broker import private_broker
from scripts.benchmarks.system.options import in_turns
from scripts.benchmarks.system.report import table
from scripts.comparison import claims, diagnosis, document, evolution, rounds, structure, tables
from scripts.comparison.command_line import build_parser
from scripts.comparison.faults import FAULTS
from scripts.comparison.wirings import WIRINGS
from scripts.progress import phases

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from scripts.benchmarks.system.broker import Broker
    from scripts.progress import Phases

_QUICK_FAULTS = 3
# Seconds on an idle machine: a round beside its load, a change, a fault.
_ROUND_SECONDS, _KILL_SECONDS, _CHANGE_SECONDS, _FAULT_SECONDS = 25, 8, 4, 25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    options = build_parser().parse_args(arguments)
    figures = _measure(options)
    path = machine.write("compare", figures)
    if options.write_docs:
        document.write(figures)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        verdicts = "\n".join(table([[cell.replace("`", "") for cell in row] for row in claims.rows(figures)]))
        print(f"{tables.text(figures)}\n\n{verdicts}\n\n{path}")
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    plan, turns = (rounds.QUICK, options.rounds or 1) if options.quick else (rounds.Plan(), options.rounds or 3)
    faults = FAULTS[:_QUICK_FAULTS] if options.quick else FAULTS
    figures: dict[str, Any] = {"machine": machine.described() | {"command": _command()}, "plan": asdict(plan)}
    with (
        phases("compare", _estimate(plan, turns, len(faults))) as progress,
        tempfile.TemporaryDirectory(prefix="choregraphie-compare-") as folder,
        private_broker(Path(folder)) as broker,
    ):
        figures["structure"] = structure.measure()
        figures["rounds"] = _rounds(broker, plan, turns, progress)
        figures["evolution"] = _changes(progress)
        figures["diagnosis"] = _faults(broker, faults, progress)
    return figures


def _command() -> str:
    return " ".join(["./scripts/compare", *sys.argv[1:]])


def _estimate(plan: rounds.Plan, turns: int, faults: int) -> float:
    load = plan.saturated_seconds + len(plan.rates) * plan.rate_seconds + plan.cancelled_seconds
    kills = sum(len(wiring.deliveries) if plan.kill_all else 1 for wiring in WIRINGS) / 2
    each = _ROUND_SECONDS + load + kills * _KILL_SECONDS
    return 2 * (turns * each + len(evolution.ADDED) * _CHANGE_SECONDS + faults * _FAULT_SECONDS)


def _rounds(broker: Broker, plan: rounds.Plan, turns: int, progress: Phases) -> list[dict[str, Any]]:
    found = []
    for turn, wiring in in_turns(WIRINGS, turns):
        progress.begin(f"round {turn + 1} of {turns}: {wiring.name}")
        found.append({"turn": turn} | rounds.measure(wiring, broker, f"{wiring.name}-{turn}", plan))
        progress.say(f"  {found[-1]['saturation']['orders_per_second']} orders/s")
    return found


def _changes(progress: Phases) -> list[dict[str, Any]]:
    found = []
    for change, (shown, _) in evolution.ADDED.items():
        progress.begin(f"change: {shown}")
        found += [evolution.measure(change, wiring.name) for wiring in WIRINGS]
    return found


def _faults(broker: Broker, faults: Sequence[Any], progress: Phases) -> list[dict[str, Any]]:
    found = []
    for number, fault in enumerate(faults):
        progress.begin(f"fault {number + 1} of {len(faults)}: {fault.name}")
        for wiring in WIRINGS:
            found.append(diagnosis.measure(wiring, fault, broker, f"fault-{number}-{wiring.name}"))
            progress.say(f"  {wiring.name}: {found[-1]['commands']} commands, {found[-1]['lines']} lines")
    return found


if __name__ == "__main__":
    sys.exit(main())
