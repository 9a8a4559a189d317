"""The benchmark of latency: from the publish of `commande.initiee` to `commande.creee`, at fixed rates of orders.

Open loop: orders come at their rate whatever the system does, and the time of each runs from the instant at which
it was due. A contender that does not keep up with a rate is not measured at a higher one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system import machine, options
from scripts.benchmarks.system.broker import Broker, private_broker
from scripts.benchmarks.system.contenders import OURS, Contender
from scripts.benchmarks.system.figures import Spread, cpu_us, percentile, ratios
from scripts.benchmarks.system.load import Publisher, bodies, saturate
from scripts.benchmarks.system.open_loop import Arrivals, Times, offer, times
from scripts.benchmarks.system.report import table
from scripts.benchmarks.system.rounds import WARM_UP_ORDERS, finish, running
from scripts.cli_parser import above_zero, positive
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ABOUT = __doc__
RATES = (50, 200, 500, 1000)
# More than this share of the orders not created in time: the contender does not keep up.
MOST_MISSING = 0.01
COLUMNS = ("orders/s offered", "", "p50", "p95", "p99", "p99 least – median – most", "keeps up", "CPU ms an order")
_AROUND_SECONDS = 15
_WARM_UP_SECONDS = 60.0


def add(parser: argparse.ArgumentParser) -> None:
    options.add(parser, [OURS, "faststream", "aio_pika"])
    parser.add_argument(
        "--rates",
        type=_rates,
        default=list(RATES),
        metavar="N,…",
        help="orders a second (default: 50,200,500,1000)",
    )
    parser.add_argument("--rounds", type=positive, help="of each contender (default: 5; quick: 2)")
    parser.add_argument("--seconds", type=above_zero, help="of load at each rate (default: 15; quick: 5)")


def _rates(text: str) -> list[int]:
    return sorted(positive(one) for one in text.split(","))


def run(arguments: argparse.Namespace) -> int:
    contenders = options.chosen(arguments)
    if not all(one.reaches_exchanges for one in contenders):
        # It publishes to queues alone, so nobody else can see `commande.creee`.
        raise SystemExit(options.mistake("the events of dramatiq reach no exchange; leave it out"))
    if any(one.refused for one in contenders):
        raise SystemExit(options.mistake("cancelled orders are not created; leave cancellations out"))
    turns = arguments.rounds or (2 if arguments.quick else 5)
    seconds = arguments.seconds or (5 if arguments.quick else 15)
    figures: dict[str, Any] = {"machine": machine.described()}
    estimate = turns * len(contenders) * (_AROUND_SECONDS + len(arguments.rates) * (seconds + 2))
    with phases("bench latency", estimate) as progress:
        figures["rounds"] = _rounds(contenders, turns, arguments.rates, seconds, progress)
    path = machine.write("latency", figures)
    print(json.dumps(figures, indent=2) if arguments.json else f"{text(figures, contenders)}\n\n{path}")
    return 0


def _rounds(
    contenders: Sequence[Contender], turns: int, rates: Sequence[int], seconds: float, progress: Phases
) -> list[dict[str, Any]]:
    rounds: list[dict[str, Any]] = []
    for contender in contenders:
        contender.prepare()
    with (
        tempfile.TemporaryDirectory(prefix="choregraphie-bench-") as folder,
        private_broker(Path(folder)) as broker,
    ):
        for turn, contender in options.in_turns(contenders, turns):
            progress.begin(f"round {turn + 1} of {turns}: {contender.name}")
            for figures in measure(contender, broker, f"{contender.name}-{turn}", rates, seconds):
                progress.say(f"  {figures['rate']} orders/s offered: {_shown(figures)}")
                rounds.append({"turn": turn} | figures)
    return rounds


def measure(
    contender: Contender, broker: Broker, name: str, rates: Sequence[int], seconds: float
) -> Iterator[dict[str, Any]]:
    """The latency at each of `rates`, until the contender does not keep up."""
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(running(contender, broker, name))
        publisher = stack.enter_context(contextlib.closing(Publisher(system.url, bodies(), contender.write)))
        saturate(publisher, system.progress.finished, _WARM_UP_SECONDS, WARM_UP_ORDERS)
        finish(system, WARM_UP_ORDERS)
        arrivals = stack.enter_context(contextlib.closing(Arrivals(system.url)))
        for rate in rates:
            before = system.cpu()
            figures = summary(rate, times(offer(publisher, rate, seconds), arrivals))
            if figures["keeps_up"]:
                finish(system, publisher.published)
                used = {what: spent - before[what] for what, spent in system.cpu().items()}
                figures["cpu_us_per_order"] = {
                    what: spent / figures["orders"] * 1e6 for what, spent in used.items()
                }
            yield {"contender": contender.name} | figures
            if not figures["keeps_up"]:
                return


def summary(rate: int, found: Times) -> dict[str, Any]:
    """The percentiles of one run in ms."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {
        "rate": rate,
        "orders": len(found.ms),
        "missing": found.missing,
        "keeps_up": found.missing <= MOST_MISSING * len(found.ms),
        **{name: round(percentile(found.ms, share), 1) for name, share in shares.items()},
    }


def text(figures: dict[str, Any], contenders: Sequence[Contender]) -> str:
    """The percentiles of each contender at each rate, and the ratios of the p99."""
    lines = [f"load of the machine before: {figures['machine']['load']:.1f}; ms, the median of the rounds", ""]
    rows = [[*COLUMNS]]
    peers = [one.name for one in contenders if one.is_peer]
    compared: list[list[str]] = []
    for rate in sorted({one["rate"] for one in figures["rounds"]}):
        rounds = [one for one in figures["rounds"] if one["rate"] == rate]
        for contender in contenders:
            each = [one for one in rounds if one["contender"] == contender.name]
            rows += [_row(rate, contender.name, each)] if each else []
            spread = contender.engine and ratios(rounds, contender.name, peers, lambda one: float(one["p99"]), min)
            compared += [[f"{rate}: {contender.name} ÷ best peer", spread.text(2)]] if spread else []
    lines += table(rows)
    if compared:
        lines += ["", *table([["p99, least – median – most of the rounds", ""], *compared])]
    return "\n".join(lines)


def _row(rate: int, name: str, rounds: list[dict[str, Any]]) -> list[str]:
    spreads = {what: Spread.of(one[what] for one in rounds) for what in ("p50", "p95", "p99")}
    cpu = [cpu_us(one) / 1000 for one in rounds if one["keeps_up"]]
    medians = [f"{spread.median:.1f}" for spread in spreads.values()]
    return [
        str(rate),
        name,
        *medians,
        spreads["p99"].text(1),
        f"{sum(one['keeps_up'] for one in rounds)}/{len(rounds)}",
        f"{Spread.of(cpu).median:.1f}" if cpu else "–",
    ]


def _shown(figures: dict[str, Any]) -> str:
    shown = ", ".join(f"{what} {figures[what]} ms" for what in ("p50", "p95", "p99"))
    return shown if figures["keeps_up"] else f"{shown}: it does not keep up"
