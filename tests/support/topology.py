"""Declares the broker's topology as a worker does, for tests that start no worker."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from choregraphie import Settings
from choregraphie.broker import apply_topology, connected
from services.application import APP


async def declare_topology(settings: Settings) -> None:
    """Declare every exchange, queue and binding of the saga."""
    async with connected(settings, "a test declares") as connection:
        await apply_topology(connection, APP.topology(settings), declare=True)


def declare_topology_at(amqp_url: str, **settings: Any) -> None:
    """The same outside a coroutine; on a thread, because a browser's driver may run a loop on this one."""
    wanted = Settings(amqp_url=amqp_url, **settings)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, declare_topology(wanted)).result()
