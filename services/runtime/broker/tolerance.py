"""Message properties that the client cannot decode cost the property, not the connection.

A timestamp in nanoseconds, a short string that is not UTF-8 or a table nested a thousand deep make pamqp raise
in the frame reader. The connection then ends, the message comes again, and after twenty rounds it is dead-lettered
together with the innocents that were in the window with it. Nothing is decided from properties, so what cannot be
read is left out.
"""

import struct
from typing import Any

from pamqp import commands, decode

_FIXED = {"octet": 1, "timestamp": 8}


def install() -> None:
    """Replace the decoder of basic properties by one that leaves out what it cannot read; once or often."""
    commands.Basic.Properties.unmarshal = _unmarshal  # type: ignore[method-assign, assignment]


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
    except (
        ValueError,
        struct.error,
        OverflowError,
        OSError,
        RecursionError,
        ArithmeticError,
        KeyError,
        IndexError,
    ):
        return _length(data, kind), None


def _length(data: bytes, kind: str) -> int:
    """How many bytes a value of that kind takes, whatever they say."""
    if kind == "shortstr":
        return 1 + data[0] if data else 0
    if kind == "table":
        return 4 + int(struct.unpack(">I", data[:4])[0]) if len(data) >= 4 else len(data)
    return _FIXED.get(kind, len(data))
