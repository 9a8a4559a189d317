"""The transport of a connection: opened for the client, and sending together what the client writes in a row.

The client writes each message by itself. Each would be a segment of its own, and the broker would wake for each.
"""

import asyncio
import importlib.metadata
import inspect
from collections.abc import Iterable
from typing import Any

import aiormq
from yarl import URL

LIMIT_BYTES = 2**16
# The client hands over the messages of a group turn by turn, sometimes with a turn between two.
_QUIET_TURNS = 3
_MOST_BYTES = 2**16

_Bytes = bytes | bytearray | memoryview


class GatheringWriter(asyncio.StreamWriter):
    """Sends what is written in one turn of the event loop, then holds what follows until nothing more follows."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.StreamReaderProtocol,
        reader: asyncio.StreamReader,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(transport, protocol, reader, loop)
        self._call_soon = loop.call_soon
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._quiet_turns = 0
        self._is_watching = False

    def write(self, data: _Bytes) -> None:
        self._held.append(bytes(data))
        self._held_bytes += len(data)
        self._quiet_turns = 0
        if self._held_bytes >= _MOST_BYTES:
            self._send()
        if not self._is_watching:
            self._is_watching = True
            self._call_soon(self._first_turn_ends)

    def _first_turn_ends(self) -> None:
        """What comes alone does not wait."""
        self._send()
        self._call_soon(self._turn_ends)

    def _turn_ends(self) -> None:
        self._quiet_turns += 1
        if self._quiet_turns < _QUIET_TURNS:
            self._call_soon(self._turn_ends)
        else:
            self._send()
            self._is_watching = False

    def _send(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self.is_closing():
            super().write(b"".join(held))

    def writelines(self, data: Iterable[_Bytes]) -> None:
        self.write(b"".join(data))

    async def drain(self) -> None:
        self._send()
        await super().drain()

    def write_eof(self) -> None:
        self._send()
        super().write_eof()

    def close(self) -> None:
        self._send()
        super().close()


class GatheringTransport:
    """What the client calls a transport factory."""

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; with TLS when the scheme is `amqps`. Raises AMQPConnectionError."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LIMIT_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport = await open_transport(protocol, url, **options)
        return reader, GatheringWriter(transport, protocol, reader, loop)


async def open_transport(
    protocol: asyncio.Protocol, url: URL, *, ssl_context_provider: Any, **options: Any
) -> asyncio.Transport:
    """Connect `protocol`; with TLS when the scheme is `amqps`. Raises AMQPConnectionError.

    The other arguments are those that the client gives its transport factory.
    """
    context = await ssl_context_provider.get_context() if url.scheme == "amqps" else None
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(
            lambda: protocol, str(url.host), int(url.port or 0), ssl=context, **options
        )
    except OSError as error:
        raise aiormq.exceptions.AMQPConnectionError(*error.args) from error
    return transport


def unsupported() -> str | None:
    """Why the installed client cannot be given a transport, or None."""
    version = importlib.metadata.version("aiormq")
    if version.split(".")[0] != "7":
        return f"aiormq {version} is not known; 7 is"
    if "transport_factory" not in inspect.signature(aiormq.Connection.__init__).parameters:
        return f"aiormq {version} takes no transport"
    return None
