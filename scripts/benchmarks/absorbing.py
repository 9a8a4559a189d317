"""How fast the monitor catches up with a real stream, through aio-pika, on a private broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import statistics
import time
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from saga_monitor.history import read
from saga_monitor.store import Store
from scripts.benchmarks.orders import Message, messages
from scripts.private_node import PrivateNode
from services.runtime import (
    Outgoing,
    Properties,
    Settings,
    open_history,
    open_publisher,
    read_settings,
    wanted_topology,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PUBLISHED_AT_ONCE = 500


class _Nobody:
    """A listener without a screen."""

    each_change = False

    def link(self, word: str, detail: str = "") -> None:
        """Nobody watches."""

    def notice(self, text: str) -> None:
        """Nobody watches."""

    def touched(self, commande_ids: Sequence[str]) -> None:
        """Nobody watches."""


def measure(folder: Path, events: int, runs: int) -> dict[str, Any]:
    """Fill a stream, then read it `runs` times into a new file each. Rates are of events a second."""
    node = PrivateNode(folder / "node", "bench")
    node.start()
    try:
        settings = read_settings({"SAGA_AMQP_URL": node.url()})
        asyncio.run(_fill(settings, events))
        taken = [asyncio.run(_absorb(settings, folder / f"run-{n}.sqlite3", events)) for n in range(runs)]
    finally:
        node.stop(wipe=True)
    return {
        "events": events,
        "runs": runs,
        "events_per_second": _spread([events / wall for wall, _ in taken]),
        "events_per_cpu_second": _spread([events / cpu for _, cpu in taken]),
    }


async def _fill(settings: Settings, events: int) -> None:
    async with open_history(settings, wanted_topology(settings)):
        pass  # the topology is there from here on
    told = itertools.islice(messages(events, dt.datetime.now(dt.UTC), dt.timedelta(milliseconds=5)), events)
    async with open_publisher(settings, "bench publishes") as publisher:
        while batch := list(itertools.islice(told, _PUBLISHED_AT_ONCE)):
            await publisher.publish([_outgoing(message) for message in batch])


def _outgoing(message: Message) -> Outgoing:
    # Returned messages are told apart by their ids.
    properties = Properties(message_id=uuid.uuid4().hex, type=message.type)
    return Outgoing(message.exchange, message.type, message.body, properties)


async def _absorb(settings: Settings, path: Path, events: int) -> tuple[float, float]:
    """Seconds on the clock and of this process, until all is in the file."""
    store, heard = Store(path), 0
    store.acquire()
    wall, cpu = time.perf_counter(), time.process_time()
    async with (
        open_history(settings, wanted_topology(settings)) as history,
        aclosing(read(history, store, _Nobody())) as batches,
    ):
        async for _ in batches:
            last = store.position().last
            heard = last.offset + 1 if last else 0
            if heard >= events:
                break
    taken = time.perf_counter() - wall, time.process_time() - cpu
    store.close()
    return taken


def _spread(rates: Sequence[float]) -> dict[str, int]:
    return {"median": round(statistics.median(rates)), "least": round(min(rates)), "most": round(max(rates))}
