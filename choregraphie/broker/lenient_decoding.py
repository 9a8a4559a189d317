"""Drops undecodable properties and routing keys instead of losing the connection.

A timestamp in nanoseconds, a short string that is not UTF-8 or a table nested a thousand deep make pamqp raise
in the frame reader. The connection then ends, the message comes again, and after twenty rounds it is dead-lettered
together with the innocents that were in the window with it. Nothing is decided from foreign properties, so what
cannot be read is left out; the headers beside it are kept, for the broker writes its own among them. A routing key
that is not UTF-8 is worse: any client may write one, and reading a stream does not take it away.
"""

import contextlib
import struct
from typing import Any

from pamqp import base, commands, decode

_FIXED = {"octet": 1, "timestamp": 8}
# How many bytes a field of a table has after its kind; the others say their length in the next four.
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
    """Replace the decoders of what comes with a message by some that bear what they cannot read; once or often."""
    # The client takes no decoder of ours; a checker is right to frown on the only way there is.
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
    """A short string, and what comes after it. No longer than it was: it may be published again."""
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
        return length, _what_can_be_read(data[4:length]) if kind == "table" else None


def _length(data: bytes, kind: str) -> int:
    """How many bytes a value of that kind takes, whatever they say."""
    if kind == "shortstr":
        return 1 + data[0] if data else 0
    if kind == "table":
        return 4 + int(struct.unpack(">I", data[:4])[0]) if len(data) >= 4 else len(data)
    return _FIXED.get(kind, len(data))


def _what_can_be_read(fields: bytes) -> dict[str, Any]:
    """A table's fields, without those whose name or value cannot be decoded, up to the first without an end."""
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
    """How many bytes a field takes with its kind; None when it is cut short."""
    kind, value = data[:1], data[1:]
    if kind in _FIELDS:
        length = 1 + _FIELDS[kind]
    elif len(value) >= 4:
        length = 5 + int(struct.unpack_from(">I", value)[0])
    else:
        return None
    return length if length <= len(data) else None
