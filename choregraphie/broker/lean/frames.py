"""The frames of messages as bytes (AMQP 0-9-1, 4.2): splits what arrives, writes what is published."""

import datetime as dt
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from pamqp import encode

from choregraphie.messaging import Outgoing

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END: Final = 0xCE
# Type, channel and size before the payload, one octet after it.
AROUND: Final = 8
HEARTBEAT_FRAME: Final = bytes([HEARTBEAT, 0, 0, 0, 0, 0, 0, END])

# Class 60 is basic; the second number is the method.
BASIC_RETURN, BASIC_DELIVER, BASIC_ACK, BASIC_NACK = (60, 50), (60, 60), (60, 80), (60, 120)

_START = struct.Struct(">BHL")
_PUBLISH_START = struct.Struct(">HHH")
_HEADER_START = struct.Struct(">HHQH")
_ACK = struct.Struct(">BHLHHQBB")
_END = bytes([END])
_PERSISTENT = b"\x02"
_REQUEUE = 0b10
_MANDATORY = b"\x01"
LONGEST_SHORT_STRING = 255  # bytes; AMQP 0-9-1, 4.2.5.3


def split(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The whole frames at the start of `data`: type, channel, and where the payload begins and ends.

    Raises ValueError where no frame can begin.
    """
    at, available = 0, len(data)
    while available - at >= AROUND:
        kind, channel, size = _START.unpack_from(data, at)
        end = at + AROUND - 1 + size
        if kind not in (METHOD, HEADER, BODY, HEARTBEAT):
            raise ValueError(f"{kind} is no type of frame")
        if end >= available:
            return
        if data[end] != END:
            raise ValueError("a frame does not end")
        yield kind, channel, at + AROUND - 1, end
        at = end + 1


def published(channel: int, message: Outgoing, largest_frame: int) -> Iterator[bytes]:
    """The bytes that publish `message`, persistent and mandatory, on `channel`.

    `largest_frame`: in bytes; 0 for no limit (AMQP 0-9-1, `connection.tune`).
    """
    body = message.body
    header = content_header(message)
    yield _publish_method(channel, message.exchange, message.routing_key)
    yield _START.pack(HEADER, channel, len(header))
    yield header
    most = largest_frame - AROUND if largest_frame else max(len(body), 1)
    for at in range(0, len(body), most):
        part = body if len(body) <= most else body[at : at + most]
        yield _END
        yield _START.pack(BODY, channel, len(part))
        yield part
    yield _END


@lru_cache(maxsize=512)
def _publish_method(channel: int, exchange: str, routing_key: str) -> bytes:
    payload = _PUBLISH_START.pack(60, 40, 0) + _short_string(exchange) + _short_string(routing_key) + _MANDATORY
    return _START.pack(METHOD, channel, len(payload)) + payload + _END


def content_header(message: Outgoing) -> bytes:
    """The payload of the header frame of `message`: the size of its body and its properties."""
    shown = message.properties
    # In the order of the flags, from the highest bit (0-9-1, 4.2.6.1).
    fields = (
        (1 << 15, _known(shown.content_type)),
        (1 << 14, _known(shown.content_encoding)),
        (1 << 13, _table(message.headers)),
        (1 << 12, _PERSISTENT),
        (1 << 10, _short(shown.correlation_id)),
        (1 << 8, _milliseconds(message.expiration_ms)),
        (1 << 7, _short(shown.message_id)),
        (1 << 6, _instant(shown.timestamp)),
        (1 << 5, _known(shown.type)),
        (1 << 3, _known(shown.app_id)),
    )
    flags, given = 0, []
    for flag, encoded in fields:
        if encoded is not None:
            flags |= flag
            given.append(encoded)
    return _HEADER_START.pack(60, 0, len(message.body), flags) + b"".join(given)


def _table(headers: Mapping[str, Any]) -> bytes | None:
    if not headers:
        return None
    # Pamqp writes a byte array of no other type.
    fields = {name: bytearray(value) if isinstance(value, bytes) else value for name, value in headers.items()}
    return encode.field_table(fields)


def _short(text: str | None) -> bytes | None:
    return _short_string(text) if text else None


def _milliseconds(number: int | None) -> bytes | None:
    return None if number is None else _short_string(str(number))


@lru_cache(maxsize=8)  # the events of a group have one time
def _instant(instant: dt.datetime | None) -> bytes | None:
    return None if instant is None else encode.timestamp(instant)


@lru_cache(maxsize=512)
def _known(text: str | None) -> bytes | None:
    """A short string that is sent again and again: a type, a service."""
    return _short(text)


def _short_string(text: str) -> bytes:
    encoded = short_text(text).encode()
    return bytes((len(encoded),)) + encoded


def short_text(text: str) -> str:
    """`text` cut to the length of an AMQP short string. A key may be longer: its bound is in characters.

    A property that cannot be encoded would end every session that publishes it, and no decision depends on one.
    """
    if len(text) * 4 <= LONGEST_SHORT_STRING:
        return text
    return text.encode()[:LONGEST_SHORT_STRING].decode(errors="ignore")


def acknowledged(channel: int, tag: int, *, multiple: bool) -> bytes:
    """The frame that acknowledges the delivery `tag`, with `multiple` all before it too."""
    return _ACK.pack(METHOD, channel, 13, *BASIC_ACK, tag, multiple, END)


def returned_to_queue(channel: int, tag: int) -> bytes:
    """The frame that returns the delivery `tag` to its queue."""
    return _ACK.pack(METHOD, channel, 13, *BASIC_NACK, tag, _REQUEUE, END)
