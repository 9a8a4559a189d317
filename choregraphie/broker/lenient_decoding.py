"""Drops undecodable properties and routing keys instead of losing the connection.

A timestamp in nanoseconds, a short string that is not UTF-8, or a table nested a thousand levels deep makes
pamqp raise in its frame reader. The connection then ends and the message is redelivered, until it is dead-
lettered after 21 deliveries, together with the other messages in the prefetch window. Of a sender's properties
only the content type decides anything, so those that cannot be decoded are dropped. The headers beside them are
kept: the broker writes its own among them, and a message in binary mode its attributes. A routing key that is
not UTF-8 is worse: any client can write one, and reading a stream does not remove it.
"""

import contextlib
import struct
from typing import Any

from pamqp import base, commands, decode

_FIXED = {"octet": 1, "timestamp": 8}
# The size in bytes of a table field after its type octet; the other types have a length of four bytes there.
_FIELDS = {
    **dict.fromkeys((b"V", b"\x00"), 0),
    **dict.fromkeys((b"t", b"b", b"B"), 1),
    **dict.fromkeys((b"s", b"u"), 2),
    **dict.fromkeys((b"I", b"i", b"f"), 4),
    b"D": 5,
    **dict.fromkeys((b"l", b"L", b"d", b"T"), 8),
}
_BROKEN = (
    ValueError,
    struct.error,
    OverflowError,
    OSError,
    RecursionError,
    ArithmeticError,
    KeyError,
    IndexError,
)


def install() -> None:
    """Replace pamqp's decoders of properties and deliveries with lenient ones.

    Calling it again changes nothing.
    """
    # pamqp has no way to register a decoder, so its methods are replaced, which a type checker rightly refuses.
    commands.Basic.Properties.unmarshal = _unmarshal  # type: ignore[method-assign, assignment]
    commands.Basic.Deliver.unmarshal = _unmarshal_deliver  # type: ignore[method-assign, assignment]


def _unmarshal_deliver(self: commands.Basic.Deliver, data: bytes) -> None:
    try:
        base.Frame.unmarshal(self, data)
    except UnicodeDecodeError:
        self.consumer_tag, data = _short(data)
        self.delivery_tag, bits = struct.unpack_from(">QB", data)
        self.redelivered = bool(bits & 1)
        self.exchange, data = _short(data[9:])
        self.routing_key, _ = _short(data)


def _short(data: bytes) -> tuple[str, bytes]:
    """Decode a short string; return it with the rest of `data`.

    It is no longer than before: it may be republished.
    """
    end = 1 + data[0]
    return data[1:end].decode(errors="replace").replace("\ufffd", "?"), data[end:]


def _unmarshal(self: commands.Basic.Properties, flags: int, data: bytes) -> None:
    for name in self.__slots__:
        if flags & self.flags[name]:
            kind = getattr(type(self), f"_{name}")
            consumed, value = _decoded(data, kind)
            setattr(self, name, value)
            data = data[consumed:]


def _decoded(data: bytes, kind: str) -> tuple[int, Any]:
    try:
        return decode.by_type(data, kind)
    except _BROKEN:
        length = _length(data, kind)
        return length, _decodable_fields(data[4:length]) if kind == "table" else None


def _length(data: bytes, kind: str) -> int:
    """The size in bytes of a value of that kind, whatever its content."""
    if kind == "shortstr":
        return 1 + data[0] if data else 0
    if kind == "table":
        return 4 + int(struct.unpack(">I", data[:4])[0]) if len(data) >= 4 else len(data)
    return _FIXED.get(kind, len(data))


def _decodable_fields(fields: bytes) -> dict[str, Any]:
    """The fields of a table whose name and value can be decoded, up to the first field that is cut short."""
    found: dict[str, Any] = {}
    while fields:
        name, rest = fields[1 : 1 + fields[0]], fields[1 + fields[0] :]
        length = _field_length(rest)
        if length is None:
            break
        with contextlib.suppress(*_BROKEN):
            found[name.decode()] = decode.embedded_value(rest[:length])[1]
        fields = rest[length:]
    return found


def _field_length(data: bytes) -> int | None:
    """The size in bytes of a field with its type octet; None when it is cut short."""
    kind, value = data[:1], data[1:]
    if kind in _FIELDS:
        length = 1 + _FIELDS[kind]
    elif len(value) >= 4:
        length = 5 + int(struct.unpack_from(">I", value)[0])
    else:
        return None
    return length if length <= len(data) else None
