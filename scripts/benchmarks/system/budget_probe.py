"""Times what a delivery of `commande.initiee` costs a worker of `stock`, with the engine's own functions.

It runs by its path, with the root of the tree under test on PYTHONPATH, and prints JSON: CPU µs a delivery.
Usage: budget_probe.py parts|whole DELIVERIES. The inbox holds that many deliveries, and nobody else consumes it.
"""

import asyncio
import json
import os
import sqlite3
import sys
import time
from typing import Any

from choregraphie.broker import open_session
from choregraphie.logs import configure_logs
from choregraphie.pipeline import run_until
from choregraphie.pipeline.clock import SteadyClock
from choregraphie.pipeline.decoder import Decoder
from choregraphie.storage.batch import Batch
from choregraphie.storage.database import open_database
from choregraphie.storage.store import Store, StoreLimits
from services.application import APP

SERVICE = APP.by_name["stock"]
GROUP = 64
_POLL_SECONDS = 0.02


class Clock:
    """Adds up the CPU time of this process between `start` and `stop`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._started


async def parts(settings: Any, deliveries: int) -> dict[str, float]:
    """The stages one after another, each on all deliveries in groups."""
    frames, decoding, settling = Clock(), Clock(), Clock()
    async with open_session(settings, SERVICE.name, APP.topology(settings)) as session:
        received: list[Any] = []
        with frames:
            await session.consume()
            while len(received) < deliveries:
                received += await session.deliveries(GROUP)
        decode = Decoder(SERVICE).decode
        with decoding:
            invocations: list[Any] = [decode(delivery) for delivery in received]
        groups = [invocations[at : at + GROUP] for at in range(0, deliveries, GROUP)]
        results, rows, reacting = committed(settings, groups)
        with settling:
            for group in results:
                said = [event.outgoing(SERVICE) for result in group for event in result.outbox_events]
                await session.publish(said)
                await session.ack([result.delivery.tag for result in group])
    clocks = {"frames": frames, "envelope": decoding, "rows": rows, "reaction": reacting, "publish": settling}
    return {name: clock.seconds / deliveries * 1e6 for name, clock in clocks.items()}


def committed(settings: Any, groups: list[list[Any]]) -> tuple[list[list[Any]], Clock, Clock]:
    """Commit the groups; their results, and the CPU time of the rows and of the reactions.

    Each group also marks the events of the one before it, as in a worker.
    """
    rows, reacting = Clock(), Clock()
    carry_out = Batch.carry_out

    def timed(batch: Batch, invocation: Any) -> Any:
        with reacting:
            return carry_out(batch, invocation)

    database = open_database(SERVICE, settings)
    store = Store(SERVICE, database, StoreLimits.of(settings), SteadyClock().now)
    results: list[list[Any]] = []
    published: list[str] = []
    # There is no other way to see the reactions apart from the rows.
    Batch.carry_out = timed  # type: ignore[method-assign, assignment]
    try:
        for group in groups:
            with rows:
                results.append(store.commit(group, published))
            published = [event.event_id for result in results[-1] for event in result.outbox_events]
    finally:
        Batch.carry_out = carry_out  # type: ignore[method-assign]
        database.close()
    rows.seconds -= reacting.seconds
    return results, rows, reacting


async def whole(settings: Any, deliveries: int) -> dict[str, float]:
    """A whole worker, from its first commit to its last."""
    stopping = asyncio.Event()
    worker = asyncio.create_task(run_until(stopping, [SERVICE], APP.topology(settings), settings))
    path = settings.database_url.removeprefix("sqlite:///").format(service=SERVICE.name)
    first = await _handled(path, 1)
    began = time.process_time()
    last = await _handled(path, deliveries)
    spent = time.process_time() - began
    stopping.set()
    await worker
    return {"whole": spent / (last - first) * 1e6}


async def _handled(path: str, least: int) -> int:
    """Wait until so many deliveries are handled, and return how many."""
    while (found := _rows(path)) < least:  # noqa: ASYNC110 - another process's view of the file has no event
        await asyncio.sleep(_POLL_SECONDS)
    return found


def _rows(path: str) -> int:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM inbox").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0  # the worker has not made it yet


def main() -> None:
    what, deliveries = sys.argv[1], int(sys.argv[2])
    settings = APP.read_settings(os.environ)
    configure_logs(settings)
    print(json.dumps(asyncio.run({"parts": parts, "whole": whole}[what](settings, deliveries))))


if __name__ == "__main__":
    main()
