"""The benchmark of the whole system: orders per second at saturation, ours, peers and the ceiling by turns.

Everyone does the same: six deliveries and five events an order, the events of `contracts`, inbox, business rows,
journal and outbox in SQLite (WAL, synchronous=FULL), persistent messages on topic exchanges and quorum queues with
confirms, acknowledged after the work, the history stream bound. Only ratios within one run mean anything.

Further contenders, which --contenders names:

  monitor        ours, and a monitor follows
  cancellations  ours; 3 orders in 10 are cancelled last, which undoes them (peers here undo nothing)
  postgresql     ours on PostgreSQL with fsync=on, whose CPU time counts as a part of its own
  two_workers    the same, with two workers a service
  asyncpg        a peer on PostgreSQL: the loop of aio_pika with the same SQL
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system import machine, options, report
from scripts.benchmarks.system.broker import private_broker
from scripts.benchmarks.system.contenders import CEILING, OURS, PEERS, Contender
from scripts.benchmarks.system.rounds import measure
from scripts.cli_parser import above_zero, positive
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

ABOUT = __doc__
# What a round takes beside its saturation: start, warm-up, drain, end.
_AROUND_SECONDS = 14
_KILL_SECONDS = 8


def add(parser: argparse.ArgumentParser) -> None:
    options.add(parser, [OURS, *PEERS, CEILING])
    parser.add_argument("--rounds", type=positive, help="of each contender (default: 5; quick: 2)")
    parser.add_argument("--seconds", type=above_zero, help="of saturation in a round (default: 15; quick: 4)")
    parser.add_argument(
        "--kill",
        action="store_true",
        help="after its saturation, kill a worker of each contender under load and start it again;"
        " not of dramatiq, whose events nobody else hears, nor of the relay",
    )


def run(arguments: argparse.Namespace) -> int:
    contenders = options.chosen(arguments)
    turns = arguments.rounds or (2 if arguments.quick else 5)
    seconds = arguments.seconds or (4 if arguments.quick else 15)
    figures: dict[str, Any] = {
        "machine": machine.described(),
        "mail": "ours writes its e-mails, peers none" if arguments.mail else "no e-mail on any side",
        "lacks": {one.name: one.lacks for one in contenders if one.lacks},
        "about": {one.name: one.about for one in contenders if one.about},
    }
    estimate = turns * len(contenders) * (seconds + _AROUND_SECONDS + _KILL_SECONDS * arguments.kill)
    with phases("bench orders", estimate) as progress:
        figures["rounds"] = _rounds(contenders, turns, seconds, arguments.kill, progress)
    path = machine.write("orders", figures)
    print(json.dumps(figures, indent=2) if arguments.json else f"{report.text(figures, contenders)}\n\n{path}")
    return 0


def _rounds(
    contenders: Sequence[Contender], turns: int, seconds: float, kill: bool, progress: Phases
) -> list[dict[str, Any]]:
    rounds = []
    for contender in contenders:
        contender.prepare()
    with (
        tempfile.TemporaryDirectory(prefix="choregraphie-bench-") as folder,
        private_broker(Path(folder)) as broker,
    ):
        for turn, contender in options.in_turns(contenders, turns):
            progress.begin(f"round {turn + 1} of {turns}: {contender.name}")
            killed = kill and contender.reaches_exchanges and contender.name != CEILING
            figures = measure(contender, broker, f"{contender.name}-{turn}", seconds, kill=killed)
            progress.say(f"  {figures['orders_per_second']} orders/s")
            rounds.append({"turn": turn} | figures)
    return rounds
