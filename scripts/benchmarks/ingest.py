"""Measures how fast `saga_monitor serve` catches up with a real stream on a private broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import statistics
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

from choregraphie import Settings, read_settings
from choregraphie.broker import apply_topology, connected, open_publisher
from choregraphie.messaging import Outgoing, Properties
from saga_monitor.projection.queries import Queries
from scripts.benchmarks.monitor_process import STUCK_AFTER, MonitorProcess
from scripts.benchmarks.orders import Message, each_order
from scripts.private_node import PrivateNode
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PUBLISHED_AT_ONCE = 500


def measure(folder: Path, events: int, runs: int) -> dict[str, Any]:
    """Fill a stream, then read it `runs` times, each into a new file. Rates are events per second.

    The complete monitor runs on one core; the broker has the others.
    """
    node = PrivateNode(folder / "node", "bench")
    node.start()
    try:
        asyncio.run(_fill(read_settings({"SAGA_AMQP_URL": node.url()}), events))
        rates = [_ingest(node.url(), folder / f"run-{n}.sqlite3", events) for n in range(runs)]
    finally:
        node.stop(wipe=True)
    return {
        "events": events,
        "runs": runs,
        "events_per_second": _spread([wall for wall, _ in rates]),
        "events_per_cpu_second": _spread([cpu for _, cpu in rates]),
    }


async def _fill(settings: Settings, events: int) -> None:
    async with connected(settings, "bench declares") as connection:
        await apply_topology(connection, APP.topology(settings), declare=True)
    orders = each_order(events, dt.datetime.now(dt.UTC), dt.timedelta(milliseconds=5))
    messages = itertools.islice(itertools.chain.from_iterable(orders), events)
    async with open_publisher(settings, "bench publishes") as publisher:
        while batch := list(itertools.islice(messages, _PUBLISHED_AT_ONCE)):
            await publisher.publish([_outgoing(message) for message in batch])


def _outgoing(message: Message) -> Outgoing:
    # The id tells returned messages apart.
    properties = Properties(message_id=uuid.uuid4().hex, type=message.type)
    return Outgoing(message.exchange, message.type, message.body, properties)


def _ingest(url: str, path: Path, events: int) -> tuple[float, float]:
    """Events per second of wall time and of the monitor's CPU time, from its first batch to its last."""
    with closing(MonitorProcess(path, "saga_monitor", "serve", one_core=True, amqp_url=url)) as process:
        with closing(Queries(path, STUCK_AFTER, APP.saga_set)) as queries:
            process.until(0)
            first, wall, cpu = queries.last_offset(), time.perf_counter(), process.cpu_seconds()
        process.until(events - 1)
        read = events - 1 - first
        return read / (time.perf_counter() - wall), read / (process.cpu_seconds() - cpu)


def _spread(rates: Sequence[float]) -> dict[str, int]:
    return {"median": round(statistics.median(rates)), "least": round(min(rates)), "most": round(max(rates))}
