"""The private node of a benchmark, with a fresh virtual host for each round."""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from choregraphie import BrokerUnavailable, read_settings
from choregraphie.broker import apply_topology, connected, count_queues
from scripts.benchmarks.system.workers import Worker
from scripts.private_node import PrivateNode
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.01


class Broker:
    """A running private node."""

    def __init__(self, node: PrivateNode) -> None:
        self._node = node
        self.pid = int(node.status()["pid"])
        self.management_url = node.management()

    @contextmanager
    def virtual_host(self, name: str) -> Iterator[str]:
        """The URL of a new virtual host, which is deleted at the end with everything in it."""
        self._manage("PUT", f"/api/vhosts/{name}")
        self._manage("PUT", f"/api/permissions/{name}/guest", b'{"configure": ".*", "write": ".*", "read": ".*"}')
        try:
            yield self._node.url() + name
        finally:
            self._manage("DELETE", f"/api/vhosts/{name}")

    def _manage(self, method: str, path: str, body: bytes | None = None) -> None:
        user, _, address = self.management_url.removeprefix("http://").partition("@")
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, f"http://{address}", *user.split(":", 1))
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        request = urllib.request.Request(f"http://{address}{path}", body, method=method)
        request.add_header("content-type", "application/json")
        opener.open(request, timeout=30).close()


@contextmanager
def private_broker(folder: Path) -> Iterator[Broker]:
    """Start a private node, and stop it at the end."""
    node = PrivateNode(folder / "node", "bench")
    # As on Ctrl-C: otherwise the node, which has a session of its own, would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node.start()
    try:
        yield Broker(node)
    finally:
        node.stop(wipe=True)


def declare_topology(url: str) -> None:
    """Declare the topology of the order saga, the history included, for a contender that does not do it itself."""

    async def declare() -> None:
        settings = read_settings({"SAGA_AMQP_URL": url})
        async with connected(settings, "bench declares") as connection:
            await apply_topology(connection, APP.topology(settings), declare=True)

    asyncio.run(declare())


def seconds_until_consumed(url: str, queue: str, worker: Worker, consumers: int = 1) -> float:
    """Wait until `queue` has that many consumers. Raises RuntimeError when `worker` ends or takes a minute."""
    started = time.monotonic()

    async def wait() -> float:
        async with connected(read_settings({"SAGA_AMQP_URL": url}), "bench waits") as connection:
            while time.monotonic() - started < _READY_SECONDS:
                counts = await count_queues(connection, [queue])
                if queue in counts and counts[queue].consumers >= consumers:
                    return time.monotonic() - started
                worker.check()
                await asyncio.sleep(_POLL_SECONDS)
        raise RuntimeError(f"{queue} has no consumer after {_READY_SECONDS:.0f} s: {worker.end_of_log()}")

    try:
        return asyncio.run(wait())
    except BrokerUnavailable as error:
        raise RuntimeError(f"the private node is away: {error}") from error
