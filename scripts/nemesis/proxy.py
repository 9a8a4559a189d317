"""A TCP proxy between clients and the broker that can cut, stall, delay and throttle connections.

In front of several nodes it is a load balancer: a new connection goes to a node that answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass
from enum import Enum

HOST = "127.0.0.1"
CHUNK = 16 * 1024
# SO_LINGER with zero seconds: closing resets the connection, so the peer sees an error and not an end.
RESET = struct.pack("ii", 1, 0)


class Mode(Enum):
    PASS = "pass"
    CUT = "cut"  # each connection is reset after a random number of further bytes
    STALL_UP = "stall up"  # bytes from clients no longer arrive, without an error
    STALL_DOWN = "stall down"
    DELAY = "delay"
    THROTTLE = "throttle"
    REFUSE = "refuse"  # every connection is reset, and new ones are refused


DELAY_SECONDS = 0.3
BYTES_PER_SECOND = 10_000


@dataclass(eq=False)
class ProxiedConnection:
    """One proxied connection with both its ends. `allowance`: the bytes that it may still carry in mode CUT."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    allowance: int = 0

    def reset(self) -> None:
        for writer in (self.client, self.broker):
            with contextlib.suppress(OSError):
                peer = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class Proxy:
    """Listens on its own port in its own thread. A target may restart its process, but must keep its port."""

    def __init__(self, *targets: int, seed: int = 0) -> None:
        self._targets = list(targets)
        self._rng = random.Random(seed)
        self._mode = Mode.PASS
        self._connections: set[ProxiedConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.resets = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._closing = asyncio.Event()
        self._flowing = {Mode.STALL_UP: asyncio.Event(), Mode.STALL_DOWN: asyncio.Event()}
        self._set(Mode.PASS)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        if not self._opened.wait(10):
            raise TimeoutError("the proxy did not start")

    def set(self, mode: Mode) -> None:
        """Change the mode, from any thread; it is in force on return.

        A stalled connection stays stalled until it is reset or the mode changes.
        """
        in_force = threading.Event()

        def change() -> None:
            self._set(mode)
            in_force.set()

        self._loop.call_soon_threadsafe(change)
        if not in_force.wait(10):
            raise TimeoutError("the proxy does not answer")

    @property
    def current_target(self) -> int:
        """The target that answered last; it is tried first."""
        return self._targets[0]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)
        self._loop.close()

    def _set(self, mode: Mode) -> None:
        self._mode = mode
        for stalled, flowing in self._flowing.items():
            (flowing.clear if stalled is mode else flowing.set)()
        for connection in list(self._connections):
            connection.allowance = self._rng.randint(0, 6_000)
            if mode is Mode.REFUSE:
                self._reset(connection)

    def _reset(self, connection: ProxiedConnection) -> None:
        connection.reset()
        self._connections.discard(connection)
        self.resets += 1

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accepted, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._opened.set()
        await self._closing.wait()
        server.close()
        for connection in list(self._connections):
            connection.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        streams = await self._open()
        if streams is None:
            writer.transport.abort()
            return
        from_broker, to_broker = streams
        connection = ProxiedConnection(writer, to_broker, self._rng.randint(0, 20_000))
        self._connections.add(connection)
        try:
            pumps = (
                self._pump(connection, reader, to_broker, Mode.STALL_UP),
                self._pump(connection, from_broker, writer, Mode.STALL_DOWN),
            )
            tasks = [self._loop.create_task(pump) for pump in pumps]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._connections.discard(connection)
            for end in (writer, to_broker):
                end.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for target in list(self._targets):
            with contextlib.suppress(OSError):
                streams = await asyncio.open_connection(HOST, target)
                self._targets = [target, *(other for other in self._targets if other != target)]
                return streams
        return None

    async def _pump(
        self,
        connection: ProxiedConnection,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        stalled_by: Mode,
    ) -> None:
        while chunk := await source.read(CHUNK):
            await self._flowing[stalled_by].wait()
            if self._mode is Mode.DELAY:
                await asyncio.sleep(DELAY_SECONDS)
            elif self._mode is Mode.THROTTLE:
                await asyncio.sleep(len(chunk) / BYTES_PER_SECOND)
            elif self._mode is Mode.CUT:
                connection.allowance -= len(chunk)
                if connection.allowance < 0:
                    # The allowed part still passes, so that a frame can be cut in its middle.
                    sink.write(chunk[: connection.allowance])
                    self._reset(connection)
                    return
            sink.write(chunk)
            await sink.drain()
