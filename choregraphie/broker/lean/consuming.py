"""Receives deliveries, all of one read of the socket together, and acknowledges them."""

import asyncio
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from choregraphie.broker.lean.content_header import EncodedHeader, body_size
from choregraphie.broker.lean.frames import (
    BASIC_DELIVER,
    BODY,
    HEADER,
    METHOD,
    acknowledged,
    frame_at,
    returned_to_queue,
)
from choregraphie.broker.lean.transport import LeanTransport
from choregraphie.messaging import Delivery

_METHOD = struct.Struct(">HH")
_TAG = struct.Struct(">QB")


class LeanConsuming:
    """A channel that consumes. `channel` is the client's: it declares, closes, and reports the loss."""

    def __init__(self, channel: Any, transport: LeanTransport) -> None:
        self.channel = channel
        self._number: int = channel.number
        self._transport = transport
        self._arrived: list[Delivery] = []
        # The delivery whose content is arriving.
        self._method: tuple[int, bool, str, str] | None = None
        self._header: EncodedHeader | None = None
        self._body: list[bytes] = []
        self._body_left = 0
        self._on_deliveries: Callable[[list[Delivery]], None] = lambda deliveries: None
        transport.lanes[self._number] = self
        channel.closing.add_done_callback(self._on_closed)

    async def consume(
        self,
        queue: str,
        on_deliveries: Callable[[list[Delivery]], None],
        arguments: dict[str, Any] | None = None,
    ) -> str:
        """Start to receive from `queue`; returns the consumer tag. Raises what the client raises."""
        self._on_deliveries = on_deliveries
        answer = await self.channel.basic_consume(queue, _never_called, arguments=arguments)
        return str(answer.consumer_tag)

    async def ack(self, tag: int, *, multiple: bool) -> None:
        """Acknowledge one delivery, or all up to it. On a closed channel nothing happens."""
        self._write(acknowledged(self._number, tag, multiple=multiple))

    async def requeue(self, tag: int) -> None:
        """Return one delivery to its queue. On a closed channel nothing happens."""
        self._write(returned_to_queue(self._number, tag))

    def _write(self, frame: bytes) -> None:
        # The broker closes a connection on which a frame of a closed channel arrives.
        if not self.channel.is_closed:
            self._transport.write(frame)

    def take(self, kind: int, data: bytes, start: int, end: int) -> int:
        if kind == METHOD:
            if _METHOD.unpack_from(data, start) != BASIC_DELIVER:
                return 0
            self._method = _deliver(data, start + 4)
            return self._take_content(data, end + 1)
        if kind == HEADER and self._method is not None:
            payload = data[start:end]
            self._header, self._body_left = EncodedHeader(payload), body_size(payload)
            if not self._body_left:
                self._complete(b"")
        elif kind == BODY and self._header is not None:
            self._add(data[start:end])
        else:
            return 0
        return end + 1

    def _take_content(self, data: bytes, at: int) -> int:
        """Take the header that begins at `at` and a body of one frame, as nearly every delivery has them.

        Returns where they end; `at` when others follow or one is not whole: then each frame is taken by itself.
        """
        header = frame_at(data, at)
        body = frame_at(data, header[3] + 1) if header else None
        if header is None or body is None or (header[0], body[0]) != (HEADER, BODY):
            return at
        if not header[1] == body[1] == self._number:
            return at
        payload = data[header[2] : header[3]]
        if body_size(payload) != body[3] - body[2]:
            return at
        self._header = EncodedHeader(payload)
        self._complete(data[body[2] : body[3]])
        return body[3] + 1

    def _add(self, part: bytes) -> None:
        self._body_left -= len(part)
        if self._body_left > 0:
            self._body.append(part)
        elif self._body:
            self._complete(b"".join((*self._body, part)))
        else:
            self._complete(part)

    def _complete(self, body: bytes) -> None:
        assert self._method is not None  # noqa: S101 - `take` has seen both
        assert self._header is not None  # noqa: S101
        tag, redelivered, exchange, routing_key = self._method
        self._arrived.append(Delivery(tag, body, exchange, routing_key, self._header, redelivered))
        self._method = self._header = None
        self._body.clear()

    def flush(self) -> None:
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._on_deliveries(arrived)

    def _on_closed(self, _: "asyncio.Future[Any]") -> None:
        self._transport.lanes.pop(self._number, None)


def _deliver(data: bytes, at: int) -> tuple[int, bool, str, str]:
    """Tag, redelivered, exchange and routing key of a delivery whose arguments begin at `at`."""
    at += 1 + data[at]  # the consumer tag
    tag, bits = _TAG.unpack_from(data, at)
    at += 9
    middle = at + 1 + data[at]
    exchange, routing_key = _names(data[at + 1 : middle], data[middle + 1 : middle + 1 + data[middle]])
    return tag, bool(bits & 1), exchange, routing_key


@lru_cache(maxsize=512)
def _names(exchange: bytes, routing_key: bytes) -> tuple[str, str]:
    return _text(exchange), _text(routing_key)


def _text(found: bytes) -> str:
    """The text; what is not UTF-8 is replaced without making it longer, because it may be published again."""
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode(errors="replace").replace("\ufffd", "?")


def _never_called(message: Any) -> None:
    """The client's callback: the lane takes every delivery before the client sees it."""
