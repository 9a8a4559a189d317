"""What a number of orders per second needs, computed from the measured cost of an order, and a simulation of it.

Nothing here runs a broker. The costs are those of docs/performance.md; what is assumed is named in the output.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.queueing import DELIVERIES, Plant, simulate
from scripts.cli_parser import above_zero, positive

if TYPE_CHECKING:
    import argparse

ABOUT = __doc__
# µs of processor time an order (docs/performance.md, "The whole saga at saturation"; docs/scaling.md, "Measured").
SERVICES_US, BROKER_US = 1084.0, 693.0
# How much more an order costs three nodes that hold every queue together than one node.
REPLICATION = 3.1
# Events an order, and what one monitor takes in a second of processor time ("The monitor catching up").
EVENTS, MONITOR_EVENTS = 5, 13_400
# Above this share of its processors a queue begins to grow with every burst.
BUSY = 0.6


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=above_zero, default=10_000.0, help="orders a second (default: %(default)g)")
    parser.add_argument("--cores", type=positive, default=8, help="of each broker node (default: %(default)s)")
    parser.add_argument("--partitions", type=positive, help="of each inbox (default: one for each worker)")
    parser.add_argument("--seconds", type=above_zero, default=2.0, help="simulated (default: %(default)g)")
    parser.add_argument("--seed", type=positive, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    needed = needs(arguments.rate, arguments.cores)
    figures: dict[str, Any] = {"needs": needed, "simulated": {}}
    for name, partitions in (("one inbox a service", 1), ("partitioned inboxes", arguments.partitions)):
        plant = plant_for(needed, arguments.cores, partitions)
        outcome = simulate(plant, arguments.rate, arguments.seconds, arguments.seed)
        figures["simulated"][name] = asdict(outcome)
    print(json.dumps(figures, indent=2) if arguments.json else _text(arguments, figures))
    return 0


def needs(rate: float, node_cores: int) -> dict[str, Any]:
    """What `rate` orders a second need, by arithmetic alone, with every processor BUSY."""
    a_delivery = SERVICES_US / sum(DELIVERIES.values()) / 1e6
    workers = {name: math.ceil(rate * count * a_delivery / BUSY) for name, count in DELIVERIES.items()}
    broker_cores = rate * BROKER_US / 1e6 * REPLICATION / BUSY
    return {
        "orders_per_second": rate,
        "workers": workers,
        "service_cores": round(rate * SERVICES_US / 1e6 / BUSY, 1),
        "broker_cores": round(broker_cores, 1),
        "nodes": max(3, math.ceil(broker_cores / node_cores)),
        "monitors": math.ceil(rate * EVENTS / MONITOR_EVENTS / BUSY),
        "events_per_second": rate * EVENTS,
    }


def plant_for(needed: dict[str, Any], node_cores: int, partitions: int | None) -> Plant:
    """`partitions` of each inbox; None: as many as workers, so that each worker has its own."""
    workers: dict[str, int] = needed["workers"]
    return Plant(
        workers=workers,
        partitions={name: partitions or count for name, count in workers.items()},
        nodes=needed["nodes"],
        node_cores=node_cores,
        delivery_seconds=SERVICES_US / sum(DELIVERIES.values()) / 1e6,
        broker_seconds=BROKER_US * REPLICATION / sum(DELIVERIES.values()) / 1e6,
    )


def _text(arguments: argparse.Namespace, figures: dict[str, Any]) -> str:
    needed = figures["needs"]
    workers = ", ".join(f"{count} {name}" for name, count in needed["workers"].items())
    lines = [
        f"computed for {needed['orders_per_second']:,.0f} orders/s, every processor {BUSY:.0%} busy:",
        f"  services  {needed['service_cores']} cores; workers: {workers}",
        f"  broker    {needed['broker_cores']} cores, 3 replicas: {needed['nodes']} nodes of {arguments.cores}",
        f"  monitors  {needed['monitors']}, for {needed['events_per_second']:,.0f} events/s",
        f"simulated, {arguments.seconds:g} s, seed {arguments.seed}:",
    ]
    for name, one in figures["simulated"].items():
        times = ", ".join(f"{what} {_ms(one[f'{what}_ms'])}" for what in ("p50", "p99"))
        order = f"{one['overtaken']:,} events were overtaken by a later one of their order"
        lines.append(
            f"  {name}: {one['created_per_second']:,.0f} orders/s, {times}, {one['left']:,} not ended; {order}"
        )
    return "\n".join(lines)


def _ms(time: float | None) -> str:
    return "–" if time is None else f"{time:.0f} ms"
