"""A small card gateway over HTTP that can be told to misbehave: drop, delay, repeat, fail, answer garbage."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scripts.nemesis.history import Charge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DROP_BEFORE = "drops the connection before it charges"
DROP_AFTER = "charges and drops the connection"
DELAY = "charges and answers too late"
REPEAT = "answers twice"
FAIL = "answers 503"
NONSENSE = "answers garbage"
ENDLESS = "charges, and its answer never ends"
DRIP = "charges, and its answer comes one byte at a time and never ends"
BOMB = "charges, and its small answer is huge when decompressed"
ZIPPED = "answers in gzip although the client did not ask for it"
REDIRECT = "redirects the request"


@dataclass
class GatewayServer:
    """`behaviours`: one for each of the next requests; later requests are answered correctly.

    The clients in `refuses` are refused with `raison`.
    """

    behaviours: deque[str] = field(default_factory=deque)
    refuses: set[str] = field(default_factory=set)
    raison: object = "carte volée"
    charged: dict[str, int] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    requests: list[tuple[str, str]] = field(default_factory=list)
    delay_seconds: float = 3.0
    port: int = 0
    tls: ssl.SSLContext | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[GatewayServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            while True:
                method, key, body = await _request(reader)
                self.requests.append((method, key))
                if not await self._answer(method, key, body, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client closed the connection
        finally:
            writer.close()

    async def _answer(self, method: str, key: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        behaviour = self.behaviours.popleft() if self.behaviours else ""
        if behaviour == DROP_BEFORE:
            return False
        if behaviour in {FAIL, REDIRECT}:
            writer.write(_response(503 if behaviour == FAIL else 307, b"", "location: /elsewhere\r\n"))
            return True
        content = self._charge(key, body) if method == "PUT" else self._cancel(key)
        if behaviour == DROP_AFTER:
            return False
        if behaviour == DELAY:
            await asyncio.sleep(self.delay_seconds)
        if behaviour in {ENDLESS, DRIP}:
            await _endless(writer, *((1, 0.1) if behaviour == DRIP else (1024, 0)))
        response = _response_to(behaviour, content)
        writer.write(response * (2 if behaviour == REPEAT else 1))
        await writer.drain()
        return behaviour != REPEAT

    def _charge(self, key: str, body: bytes) -> bytes:
        if key in self.cancelled:
            return json.dumps({"acceptee": False, "raison": "débit annulé"}).encode()
        if json.loads(body)["client_id"] in self.refuses:
            return json.dumps({"acceptee": False, "raison": self.raison}).encode()
        self.charged.setdefault(key, 0)
        self.charged[key] = 1  # a key is charged once, however often it comes
        return json.dumps({"acceptee": True}).encode()

    def _cancel(self, key: str) -> bytes:
        self.cancelled.add(key)
        self.charged.pop(key, None)
        return b""


@dataclass
class RecordingGateway(GatewayServer):
    """A gateway that records every charge, also after it was cancelled."""

    charges_by_key: dict[str, Charge] = field(default_factory=dict)

    def _charge(self, key: str, body: bytes) -> bytes:
        answer = super()._charge(key, body)
        if key in self.charged and key not in self.charges_by_key:
            order = key.split(":", 2)[-1]
            self.charges_by_key[key] = Charge(key, order, Decimal(json.loads(body)["montant"]))
        return answer

    def _cancel(self, key: str) -> bytes:
        if key in self.charges_by_key:
            self.charges_by_key[key] = replace(self.charges_by_key[key], taken_back=True)
        return super()._cancel(key)


class Gateway:
    """The recording gateway on its own port, in its own thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = RecordingGateway(tls=tls)
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        if not self._opened.wait(10):
            raise TimeoutError("the gateway did not start")

    @property
    def url(self) -> str:
        return self._server.url

    def behave(self, *behaviours: str) -> None:
        """The next requests are treated so, one after another."""
        self._server.behaviours.extend(behaviours)

    def charges(self) -> tuple[Charge, ...]:
        return tuple(self._server.charges_by_key.values())

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(10)
            self._loop.close()

    async def _serve(self) -> None:
        async with self._server.running():
            self._opened.set()
            await self._closing.wait()


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    lengths = [int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:")]
    body = await reader.readexactly(lengths[0]) if lengths else b""
    return method, unquote(path.removeprefix("/debits/")), body


async def _endless(writer: asyncio.StreamWriter, length: int, pause_seconds: float) -> None:
    """Send chunks of that length until the client closes the connection."""
    writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"%x\r\n%s\r\n" % (length, b" " * length))
        await writer.drain()
        await asyncio.sleep(pause_seconds)


def _response_to(behaviour: str, content: bytes) -> bytes:
    if behaviour == NONSENSE:
        return _response(200, b"<html>")
    if behaviour not in {BOMB, ZIPPED}:
        return _response(200, content)
    body = gzip.compress(content + b" " * (100_000_000 if behaviour == BOMB else 0))
    return _response(200, body, "content-encoding: gzip\r\n")


def _response(status: int, body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body
