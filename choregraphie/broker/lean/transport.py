"""The transport of a connection with lean lanes: their frames go to them, every other byte to the client."""

import asyncio
import struct
from typing import Any, Protocol

from yarl import URL

from choregraphie.broker.lean.frames import HEARTBEAT_FRAME, frame_at
from choregraphie.broker.transport import LIMIT_BYTES, open_transport

# The client takes a connection for dead when no frame has come for three heartbeats, and sees none of a lane's.
SIGN_OF_LIFE_SECONDS = 1.0


class Lane(Protocol):
    """The reader of the frames of one channel."""

    def take(self, kind: int, data: bytes, start: int, end: int) -> int:
        """Take the frame whose payload is `data[start:end]`, and perhaps some that follow.

        Returns where the last of them ends in `data`; 0 when the frame is the client's.
        """

    def flush(self) -> None:
        """All frames of one read of the socket were taken."""


class LeanTransport:
    """Opens the transport of one connection. `lanes` has the lanes of that connection, by channel."""

    def __init__(self) -> None:
        self.lanes: dict[int, Lane] = {}
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; with TLS when the scheme is `amqps`. Raises AMQPConnectionError."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LIMIT_BYTES, loop=loop)
        protocol = _Protocol(reader, loop, self.lanes)
        transport = await open_transport(protocol, url, **options)
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return reader, self._writer

    def write(self, data: bytes) -> None:
        """Send whole frames. On a closed connection nothing happens."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait while the socket takes no more. Raises ConnectionError on a lost connection."""
        if self._writer is not None:
            await self._writer.drain()


class _Protocol(asyncio.StreamReaderProtocol):
    """Splits what arrives into frames."""

    def __init__(
        self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop, lanes: dict[int, Lane]
    ) -> None:
        super().__init__(reader, loop=loop)
        self._loop_time = loop.time
        self._lanes = lanes
        self._begun = b""
        self._forwarded_at = 0.0
        self._framed = True

    def data_received(self, data: bytes) -> None:
        if not self._framed:
            super().data_received(data)
            return
        data = self._begun + data if self._begun else data
        rest, taken, done = [], False, 0
        try:
            while (frame := frame_at(data, done)) is not None:
                kind, channel, start, end = frame
                lane = self._lanes.get(channel)
                if lane is not None and (after := lane.take(kind, data, start, end)):
                    taken, done = True, after
                else:
                    rest.append(data[done : end + 1])
                    done = end + 1
        except (ValueError, IndexError, struct.error):
            # No AMQP, or no more: what it is, the client finds out.
            self._framed = False
            rest.append(data[done:])
            done = len(data)
        self._begun = data[done:]
        if taken:
            self._flush(rest)
        if rest:
            self._forwarded_at = self._loop_time()
            super().data_received(b"".join(rest))

    def _flush(self, rest: list[bytes]) -> None:
        for lane in [*self._lanes.values()]:
            lane.flush()
        if self._loop_time() - self._forwarded_at > SIGN_OF_LIFE_SECONDS:
            rest.append(HEARTBEAT_FRAME)
