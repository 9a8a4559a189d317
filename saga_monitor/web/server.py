"""Runs uvicorn with bounds on connections and on the time of each.

uvicorn waits for ever for the rest of a request's head, and for a client to read its answer.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from choregraphie.process.connections import Connections, accept, limit_for, reset_on_close

MOST_CONNECTIONS = 200
# The connections take at most a fifth of the process's descriptors: pages, files and the broker need some as well.
SHARE_OF_DESCRIPTORS = 5
# For the head and the body together; a connection that is kept open has as long until its next request.
REQUEST_SECONDS = 10.0
# For an answer to be read: an event of a stream, or a whole page.
ANSWER_SECONDS = 30.0
# What is still being answered at the end has so long.
SHUTDOWN_SECONDS = 3
_SWEEP_SECONDS = 1.0


def most_connections() -> int:
    """How many clients may be connected at once."""
    return limit_for(MOST_CONNECTIONS, SHARE_OF_DESCRIPTORS)


class Server(uvicorn.Server):
    """Serves `app`; at the bound, an older connection gives way to a new one."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=H11Protocol,
                log_config=None,
                # A line for each malformed request would let anybody fill the log.
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._clients: Connections[_Client] = Connections(most_connections())
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn raises what it has caught again at the end, and so would end the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept clients of `sockets`; asyncio's own server logs a traceback for each that finds no descriptor."""
        self.servers = []
        for listener in sockets or ():
            self._begin(accept(listener, self._clients, self._take))
        self._begin(self._end_late_clients())
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._tasks:
            task.cancel()
        await super().shutdown(sockets)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, accepted: socket.socket) -> None:
        client = _Client(self.config, self.server_state, {}, self._clients)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: client, accepted)

    async def _end_late_clients(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for client in self._clients:
                client.end_if_late()


class _Client(H11Protocol):
    """One connection. Its client is to send a whole request, and to read each answer, within a time."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: Any,
        app_state: dict[str, Any],
        clients: Connections["_Client"],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._clients = clients
        self._asking_since: float | None = self.loop.time()
        self._unread_since: float | None = None

    @property
    def waiting(self) -> bool:
        return self._asking_since is not None or self.transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        reset_on_close(self.transport.get_extra_info("socket"), True)
        self.transport.abort()

    def end_if_late(self) -> None:
        now = self.loop.time()
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        too_slow = self._asking_since is not None and now - self._asking_since > REQUEST_SECONDS
        if too_slow or (self._unread_since is not None and now - self._unread_since > ANSWER_SECONDS):
            self.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.remove(self)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._asking_since = None

    def on_response_complete(self) -> None:
        # When it was answered before its body had come, the time for the whole request goes on.
        if self._asking_since is None:
            self._asking_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            # It follows a request whose answer has begun, so there is no place for another answer.
            self.abort()

    def _should_upgrade(self) -> bool:
        """Never; uvicorn would log, for each client that asks for it, what to install."""
        return False
