"""The header of a message: its properties and headers, decoded only when they are asked for.

What no decision depends on is never decoded, so a malformed property costs nothing. What is asked for has the same
values as on the public lane: a property that cannot be decoded is dropped.
"""

import datetime as dt
import struct
from functools import cached_property
from typing import Any

from pamqp import header

from choregraphie.messaging import NO_HEADERS, ContentHeader, Properties

_CONTENT_TYPE, _HEADERS = 1 << 15, 1 << 13
_FLAGS_AT, _PROPERTIES_AT = 12, 14
# The properties in the order in which they are written, with the bit of each.
_SHORT_STRINGS = {
    1 << 15: "content_type",
    1 << 14: "content_encoding",
    1 << 10: "correlation_id",
    1 << 9: "reply_to",
    1 << 8: "expiration",
    1 << 7: "message_id",
    1 << 5: "type",
    1 << 4: "user_id",
    1 << 3: "app_id",
    1 << 2: "cluster_id",
}
_OCTETS = (1 << 12, 1 << 11)  # delivery mode, priority
_TIMESTAMP = 1 << 6
_MOST_SECONDS = 2**32 - 1  # the client takes more for milliseconds
_BITS = tuple(1 << bit for bit in range(15, 1, -1))
_INTEGERS = {
    kind: struct.Struct(form)
    for kind, form in ((b"b", ">b"), (b"s", ">h"), (b"u", ">H"), (b"I", ">i"), (b"l", ">q"))
}


class EncodedHeader:
    """The payload of a header frame."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    @property
    def content_type(self) -> str | None:
        """The first property, which is read without the others."""
        payload = self._payload
        if not payload[_FLAGS_AT] & (_CONTENT_TYPE >> 8):
            return None
        try:
            start = _PROPERTIES_AT + 1
            return payload[start : start + payload[_PROPERTIES_AT]].decode()
        except (IndexError, UnicodeDecodeError):
            return self._decoded.properties.content_type

    @property
    def properties(self) -> Properties:
        return self._decoded.properties

    @property
    def headers(self) -> Any:
        if not payload_has_headers(self._payload):
            return NO_HEADERS
        return self._decoded.headers

    @cached_property
    def _decoded(self) -> ContentHeader:
        try:
            return _read(self._payload)
        except (ValueError, IndexError, struct.error, OverflowError, OSError, KeyError):
            return decoded_by_client(self._payload)


def payload_has_headers(payload: bytes) -> bool:
    """Whether the message has a table of headers."""
    return bool(payload[_FLAGS_AT] & (_HEADERS >> 8))


def body_size(payload: bytes) -> int:
    """The size of the body, in bytes, that the payload of a header frame announces."""
    return int.from_bytes(payload[4:12], "big")


def decoded_by_client(payload: bytes) -> ContentHeader:
    """The same header as the client reads it; its decoders are lenient (`lenient_decoding.py`)."""
    found = header.ContentHeader()
    found.unmarshal(payload)
    return content_header_of(found.properties)


def content_header_of(properties: Any) -> ContentHeader:
    """The client's properties as a content header."""
    return ContentHeader(
        headers=properties.headers or NO_HEADERS,
        properties=Properties(
            message_id=properties.message_id,
            type=properties.message_type,
            correlation_id=properties.correlation_id,
            app_id=properties.app_id,
            timestamp=properties.timestamp,
            content_type=properties.content_type,
            content_encoding=properties.content_encoding,
        ),
    )


def _read(payload: bytes) -> ContentHeader:
    """Raises an error for whatever is unusual."""
    flags = int.from_bytes(payload[_FLAGS_AT:_PROPERTIES_AT], "big")
    if flags & 0b11:
        raise ValueError("more flags follow")
    at, found = _PROPERTIES_AT, dict[str, Any]()
    for bit in _BITS:
        if not flags & bit:
            continue
        if bit in _SHORT_STRINGS:
            end = at + 1 + payload[at]
            found[_SHORT_STRINGS[bit]] = payload[at + 1 : end].decode()
            at = end
        elif bit in _OCTETS:
            at += 1
        elif bit == _TIMESTAMP:
            found["timestamp"] = _instant(payload[at : at + 8])
            at += 8
        else:
            end = at + 4 + int.from_bytes(payload[at : at + 4], "big")
            found["headers"] = _table(payload[at + 4 : end])
            at = end
    if at != len(payload):
        raise ValueError("longer or shorter than it says")
    shown = {name: value for name, value in found.items() if name in Properties._fields}
    return ContentHeader(found.get("headers") or NO_HEADERS, Properties(**shown))


def _instant(octets: bytes) -> dt.datetime:
    seconds = int.from_bytes(octets, "big")
    if seconds > _MOST_SECONDS:
        raise ValueError("perhaps milliseconds")
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _table(fields: bytes) -> dict[str, Any]:
    """A table of texts and integers, as the broker and our own workers write."""
    at, found = 0, dict[str, Any]()
    while at < len(fields):
        end = at + 1 + fields[at]
        name, kind = fields[at + 1 : end].decode(), fields[end : end + 1]
        if kind == b"S":
            length = int.from_bytes(fields[end + 1 : end + 5], "big")
            at = end + 5 + length
            found[name] = fields[end + 5 : at].decode()
        else:
            form = _INTEGERS[kind]
            found[name] = form.unpack_from(fields, end + 1)[0]
            at = end + 1 + form.size
    if at != len(fields):
        raise ValueError("the last field is cut short")
    return found
