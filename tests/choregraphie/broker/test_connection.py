"""Connections to a real broker: what is refused, what is lost, and what a failed one leaves behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from choregraphie import BrokerRefused, BrokerUnavailable, Settings
from choregraphie.broker import connected
from choregraphie.broker.connection import in_time

if TYPE_CHECKING:
    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker

# Garbage collection runs on a thread without an event loop, such as the database thread. It needs a process of its
# own, because pytest keeps the log records, and with them the connection.
PROGRAM = """
import asyncio, gc, socket
from choregraphie import BrokerUnavailable, read_settings
from choregraphie.broker.connection import connected

async def attempt():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kept = []
    try:
        async with connected(read_settings({"SAGA_AMQP_URL": f"amqp://u:p@127.0.0.1:{port}/"}), "test"):
            pass
    except BrokerUnavailable as error:
        kept.append(error)
    print(len(kept))
    await asyncio.to_thread(lambda: (kept.clear(), gc.collect()))

gc.disable()
asyncio.run(attempt())
"""


def test_a_connection_that_failed_is_closed_before_it_is_collected() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "always::RuntimeWarning", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "1\n"
    assert "never awaited" not in ended.stderr


async def test_a_virtual_host_that_does_not_exist_is_refused(broker: Broker) -> None:
    with pytest.raises(BrokerRefused, match="virtual host"):
        async with connected(Settings(amqp_url=broker.url("nowhere")), "test"):
            pass


async def test_a_channel_of_a_lost_connection_is_unavailable(amqp_url: str, management: Management) -> None:
    async with connected(Settings(amqp_url=amqp_url), "test") as connection:
        assert management.close_connections(at_least=1) == 1
        for _ in range(3):
            with pytest.raises(BrokerUnavailable):
                await in_time(connection.channel(publisher_confirms=False))
