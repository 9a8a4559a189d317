"""Bounds the connections of a public port: how many are open, and which are closed first.

A client may connect and send nothing, send a byte per second, or never read its answer. Each such client holds a
descriptor of the process, so a port takes a bounded share of them. At the bound, a new client replaces the oldest
one that the port waits for, so other clients cannot keep a health check out.
"""

import asyncio
import resource
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import structlog

log = structlog.get_logger()

# Without a free descriptor the listener stays readable, and accepting without a pause would use a whole core.
ACCEPT_PAUSE_SECONDS = 1.0
# With fewer, two clients could keep all others out.
_FEWEST = 4


class Connection(Protocol):
    """One client."""

    @property
    def waiting(self) -> bool:
        """Whether the port waits for the client, to complete its request or to read the answer."""

    def abort(self) -> None:
        """Close it at once, without sending the rest."""


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """The open connections, the oldest first; at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: dict[C, None] = {}

    def __iter__(self) -> Iterator[C]:
        return iter(tuple(self._open))

    def add(self, connection: C) -> None:
        """Add `connection`; at the limit, close another one for it."""
        if len(self._open) >= self.limit:
            self.abort_one()
        self._open[connection] = None

    def remove(self, connection: C) -> None:
        """Remove `connection`, which is closed. An unknown one is ignored."""
        self._open.pop(connection, None)

    def abort_one(self) -> None:
        """Close the oldest connection that waits for its client, otherwise the oldest one."""
        waiting = (connection for connection in self._open if connection.waiting)
        chosen = next(waiting, None) or next(iter(self._open), None)
        if chosen is not None:
            del self._open[chosen]
            chosen.abort()


def limit_for(most: int, share: int) -> int:
    """At most `most` connections, and at most one `share`-th of the descriptors that this process may open."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if descriptors == resource.RLIM_INFINITY else max(_FEWEST, min(most, descriptors // share))


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises OSError or UnicodeError when the address cannot be used."""
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def reset_on_close(client: socket.socket, reset: bool) -> None:
    """With `reset`, closing `client` resets the connection and drops unsent data; otherwise that is still sent."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(reset), 0))


async def accept(
    listener: socket.socket, connections: Connections[Any], take: Callable[[socket.socket], Awaitable[object]]
) -> NoReturn:
    """Pass every new client to `take`, without end. Without descriptors or memory, log once and pause."""
    loop, failing = asyncio.get_running_loop(), False
    while True:
        try:
            accepted, _ = await loop.sock_accept(listener)
        except ConnectionError:
            continue  # the client left before it was accepted
        except OSError as error:
            if not failing:
                log.warning("port.accept_failed", error=error.strerror, address=str(listener.getsockname()))
            failing = True
            connections.abort_one()
            await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
        else:
            failing = False
            await take(accepted)
            # While clients wait to be accepted, nothing above yields, so aborted connections are not closed yet.
            await asyncio.sleep(0)
