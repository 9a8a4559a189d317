"""The frames of messages as bytes (AMQP 0-9-1, 4.2): splits what arrives, writes what is published."""

import datetime as dt
import struct
from collections.abc import Mapping
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


def frame_at(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    """The frame that begins at `at`: type, channel, where its payload begins and ends. None: it is not whole.

    Raises ValueError where no frame can begin.
    """
    if len(data) - at < AROUND:
        return None
    kind, channel, size = _START.unpack_from(data, at)
    end = at + AROUND - 1 + size
    if kind not in (METHOD, HEADER, BODY, HEARTBEAT):
        raise ValueError(f"{kind} is no type of frame")
    if end >= len(data):
        return None
    if data[end] != END:
        raise ValueError("a frame does not end")
    return kind, channel, at + AROUND - 1, end


def published(channel: int, message: Outgoing, largest_frame: int) -> bytes:
    """The bytes that publish `message`, persistent and mandatory, on `channel`.

    `largest_frame`: in bytes; 0 for no limit (AMQP 0-9-1, `connection.tune`).
    """
    body = message.body
    header = content_header(message)
    parts = [
        _publish_method(channel, message.exchange, message.routing_key),
        _START.pack(HEADER, channel, len(header)),
        header,
        _END,
    ]
    most = largest_frame - AROUND if largest_frame else max(len(body), 1)
    for at in range(0, len(body), most):
        part = body if len(body) <= most else body[at : at + most]
        parts += (_START.pack(BODY, channel, len(part)), part, _END)
    return b"".join(parts)


@lru_cache(maxsize=512)
def _publish_method(channel: int, exchange: str, routing_key: str) -> bytes:
    payload = _PUBLISH_START.pack(60, 40, 0) + _short_string(exchange) + _short_string(routing_key) + _MANDATORY
    return _START.pack(METHOD, channel, len(payload)) + payload + _END


def content_header(message: Outgoing) -> bytes:
    """The payload of the header frame of `message`: the size of its body and its properties."""
    shown = message.properties
    # In the order of the flags, from the highest bit (0-9-1, 4.2.6.1).
    flags, given = _first_properties(shown.content_type, shown.content_encoding)
    if message.headers:
        flags |= 1 << 13
        given += _table(message.headers)
    flags |= 1 << 12
    given += _PERSISTENT
    if shown.correlation_id:
        flags |= 1 << 10
        given += _short_string(shown.correlation_id)
    if message.expiration_ms is not None:
        flags |= 1 << 8
        given += _short_string(str(message.expiration_ms))
    if shown.message_id:
        flags |= 1 << 7
        given += _short_string(shown.message_id)
    last_flags, last = _last_properties(shown.timestamp, shown.type, shown.app_id)
    return _HEADER_START.pack(60, 0, len(message.body), flags | last_flags) + given + last


# What precedes and what follows the ids is the same for all events of a type in a group, which have one time.


@lru_cache(maxsize=64)
def _first_properties(content_type: str | None, content_encoding: str | None) -> tuple[int, bytes]:
    return _flagged((1 << 15, _short(content_type)), (1 << 14, _short(content_encoding)))


@lru_cache(maxsize=64)
def _last_properties(timestamp: dt.datetime | None, type_: str | None, app_id: str | None) -> tuple[int, bytes]:
    instant = b"" if timestamp is None else encode.timestamp(timestamp)
    return _flagged((1 << 6, instant), (1 << 5, _short(type_)), (1 << 3, _short(app_id)))


def _flagged(*properties: tuple[int, bytes]) -> tuple[int, bytes]:
    """The flags of those of `properties` that are given, and their bytes."""
    flags = sum(flag for flag, encoded in properties if encoded)
    return flags, b"".join(encoded for _, encoded in properties)


def _table(headers: Mapping[str, Any]) -> bytes:
    # Pamqp writes a byte array of no other type.
    fields = {name: bytearray(value) if isinstance(value, bytes) else value for name, value in headers.items()}
    return encode.field_table(fields)


def _short(text: str | None) -> bytes:
    return _short_string(text) if text else b""


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
