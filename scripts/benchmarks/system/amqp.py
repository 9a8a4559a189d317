"""A bare AMQP 0-9-1 connection over a blocking socket: what the load generator and the ceiling are made of.

It knows the frames that the benchmark needs and nothing more, so it costs a few microseconds a message: a client
library would cost more than the services under test.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pamqp import commands, exceptions, frame, header

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNEL = 1
_FRAME = struct.Struct(">BHI")
_METHOD, _HEADER, _BODY, _HEARTBEAT, _END = 1, 2, 3, 8, b"\xce"
_DELIVER, _ACK, _NACK, _RETURN = (60, 60), (60, 80), (60, 120), (60, 50)
_FRAME_MAX = 131_072
_READ_BYTES = 262_144


class Delivered(NamedTuple):
    tag: int
    routing_key: str
    body: bytes


class Confirmed(NamedTuple):
    tag: int
    multiple: bool


class BrokerSaidNoError(Exception):
    """The broker returned or refused a message, or closed the channel or the connection."""


class Connection:
    """One connection with one channel, both open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 5672), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._deliver: tuple[int, str] = (0, "")
        self._body: list[bytes] = []
        self._missing = 0
        self._socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._expect("Connection.Start")
        login = f"\0{parts.username or ''}\0{parts.password or ''}"
        self._send(commands.Connection.StartOk({}, "PLAIN", login, "en_US"), channel=0)
        self._expect("Connection.Tune")
        self._send(commands.Connection.TuneOk(CHANNEL, _FRAME_MAX, 0), channel=0)
        self._call(commands.Connection.Open(unquote(parts.path.removeprefix("/")) or "/"), channel=0)
        self._call(commands.Channel.Open())
        # From now on, waits are the caller's.
        self._socket.settimeout(None)

    def confirm(self) -> None:
        """Ask for publisher confirms."""
        self._call(commands.Confirm.Select())

    def consume(self, queue: str, prefetch: int, *, no_ack: bool = False) -> None:
        self._call(commands.Basic.Qos(prefetch_count=prefetch))
        self._call(commands.Basic.Consume(queue=queue, no_ack=no_ack, nowait=False))

    def subscribe(self, exchange: str, routing_key: str) -> None:
        """Receive, without acknowledging, what `exchange` gets with `routing_key` from now on."""
        answer = self._call(commands.Queue.Declare(queue="", exclusive=True))
        queue = answer.queue or ""
        self._call(commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=routing_key))
        self.consume(queue, 0, no_ack=True)

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def readable(self, seconds: float) -> bool:
        """Whether something arrives within `seconds`."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def receive(self) -> list[Delivered | Confirmed]:
        """Wait for one read of the socket; what it completes. Raises BrokerSaidNoError."""
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise BrokerSaidNoError("the connection was closed")
        buffer, at = self._buffer + data, 0
        received: list[Delivered | Confirmed] = []
        while len(buffer) - at >= 7:
            kind, _, size = _FRAME.unpack_from(buffer, at)
            end = at + 8 + size
            if end > len(buffer):
                break
            received += self._frame(kind, buffer[at + 7 : end - 1])
            at = end
        self._buffer = buffer[at:]
        return received

    def _frame(self, kind: int, payload: bytes) -> Iterator[Delivered | Confirmed]:
        if kind == _BODY:
            self._body.append(payload)
            self._missing -= len(payload)
            if not self._missing:
                yield Delivered(*self._deliver, b"".join(self._body))
        elif kind == _HEADER:
            (self._missing,) = struct.unpack_from(">Q", payload, 4)
            self._body = []
        elif kind == _METHOD:
            yield from self._method(payload)

    def _method(self, payload: bytes) -> Iterator[Confirmed]:
        method = struct.unpack_from(">HH", payload)
        if method == _DELIVER:
            at = 5 + payload[4]  # behind the consumer tag
            (tag,) = struct.unpack_from(">Q", payload, at)
            at += 9  # behind the tag and the redelivered bit
            at += 1 + payload[at]  # behind the exchange
            self._deliver = (tag, payload[at + 1 : at + 1 + payload[at]].decode())
        elif method == _ACK:
            tag, multiple = struct.unpack_from(">QB", payload, 4)
            yield Confirmed(tag, bool(multiple))
        elif method not in {_RETURN, _NACK} and method[0] not in {10, 20}:
            return
        else:
            raise BrokerSaidNoError(f"method {method}: {payload[4:200]!r}")

    def close(self) -> None:
        self._socket.close()

    def _call(self, method: Any, channel: int = CHANNEL) -> Any:
        self._send(method, channel)
        return self._expect(method.name + "Ok")

    def _send(self, method: Any, channel: int) -> None:
        self.send(frame.marshal(method, channel))

    def _expect(self, name: str) -> Any:
        while True:
            try:
                used, _, answer = _unmarshal(self._buffer)
            except (struct.error, exceptions.UnmarshalingException):
                used, answer = 0, None
            if answer is None:
                self._buffer += self._socket.recv(_READ_BYTES)
                continue
            self._buffer = self._buffer[used:]
            if answer.name == name:
                return answer
            if answer.name.endswith(".Close"):
                raise BrokerSaidNoError(f"{answer.reply_code} {answer.reply_text}")


def _unmarshal(data: bytes) -> tuple[int, int, Any]:
    return frame.unmarshal(data)


class Route:
    """Publishes to one exchange with one routing key and fixed properties, but for the message id."""

    def __init__(self, exchange: str, routing_key: str, properties: commands.Basic.Properties) -> None:
        method = commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
        self._method = frame.marshal(method, CHANNEL)
        self._properties = properties

    def frames(self, body: bytes, message_id: str) -> bytes:
        """The frames of one message."""
        self._properties.message_id = message_id
        return b"".join((self._method, self._header(len(body)), _framed(_BODY, body)))

    def _header(self, size: int) -> bytes:
        return frame.marshal(header.ContentHeader(0, size, self._properties), CHANNEL)


class FixedRoute(Route):
    """The same with the same id for each message: its frames are joined, not marshalled."""

    def __init__(self, exchange: str, routing_key: str, properties: commands.Basic.Properties) -> None:
        super().__init__(exchange, routing_key, properties)
        self._prefix = self._header(0)

    def frames(self, body: bytes, message_id: str = "") -> bytes:
        size = len(body)
        head = self._prefix[:11] + size.to_bytes(8, "big") + self._prefix[19:]
        return b"".join((self._method, head, _FRAME.pack(_BODY, CHANNEL, size), body, _END))


def _framed(kind: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, CHANNEL, len(payload)) + payload + _END


def acknowledgement(tag: int) -> bytes:
    """The frame that acknowledges every delivery up to `tag`."""
    return frame.marshal(commands.Basic.Ack(tag, multiple=True), CHANNEL)


class Confirms:
    """Which of the messages published on a channel are confirmed: all those below `low`, and some above."""

    def __init__(self) -> None:
        self.low = 1
        self._early: set[int] = set()

    def take(self, confirm: Confirmed) -> None:
        """Note one confirm."""
        if confirm.multiple:
            self.low = max(self.low, confirm.tag + 1)
        else:
            self._early.add(confirm.tag)
        while self.low in self._early:
            self._early.discard(self.low)
            self.low += 1
