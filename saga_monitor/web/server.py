"""Runs uvicorn with limits on the number of connections and on the duration of requests.

uvicorn itself waits without limit for the rest of a request's head and for a client that does not read.
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
# A fifth of the process's descriptors at most: files and the broker need some too.
SHARE_OF_DESCRIPTORS = 5
# For head and body together, and between two requests of a kept connection.
REQUEST_SECONDS = 10.0
# For a client to read an answer: a page, or one server-sent event.
ANSWER_SECONDS = 30.0
# For running requests at shutdown.
SHUTDOWN_SECONDS = 3
_SWEEP_SECONDS = 1.0


def most_connections() -> int:
    """The limit of concurrent connections."""
    return limit_for(MOST_CONNECTIONS, SHARE_OF_DESCRIPTORS)


class Server(uvicorn.Server):
    """Serves `app`. At the limit, the oldest waiting connection is closed for a new one."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=H11Protocol,
                log_config=None,
                # A line per malformed request would let anyone fill the log.
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
        """Leave signals to this process: uvicorn would raise them again at its end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept clients on `sockets`. asyncio's server would log a traceback for each without a descriptor."""
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
    """One connection, closed when its client is too slow to send a request or to read an answer."""

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

    # uvicorn itself narrows the parameter of asyncio.Protocol in this way.
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
        # Answered before the body arrived: the time limit of the request continues.
        if self._asking_since is None:
            self._asking_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            # The answer to an earlier request has begun, so no other one can be sent. This one ends here as well:
            # only the next turn of the event loop tells it that the connection is gone.
            if self.cycle is not None:
                self.cycle.disconnected = True
            self.abort()

    def _should_upgrade(self) -> bool:
        """Never, because uvicorn would log advice for each client that asks."""
        return False
