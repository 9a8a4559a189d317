"""Reads a message in either content mode of CloudEvents: the envelope is the body, or headers around the data.

In structured mode the body is the envelope. In binary mode the body is the data, each attribute is a header, and
`datacontenttype` is the content type (CloudEvents 1.0.2, AMQP protocol binding, 3).
"""

import base64
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from choregraphie.errors import Reason
from choregraphie.saga.media_types import is_json, is_utf8
from choregraphie.saga.problems import problem

_STRUCTURED = "application/cloudevents"
# `cloudEvents:` and `cloudEvents_` are the binding's own. `ce-` is that of HTTP, whose names have no case, and
# `ce_` that of Kafka: bridges copy such headers. A name longer than a field name of AMQP cannot be republished.
_ATTRIBUTE = re.compile(r"(?:cloudEvents[:_]|[Cc][Ee]-|ce_)(?P<name>[A-Za-z0-9]{1,100})", re.ASCII)
_REQUIRED = frozenset({"specversion", "id", "type", "source"})
_NO_ATTRIBUTES = frozenset({"data", "datacontenttype"})

# In bytes of names and values. With the attributes of a longer table there would be no room for our own headers:
# all of them must fit one frame, of 128 KiB.
MAX_ATTRIBUTE_BYTES = 64 * 1024
_MOST_REPUBLISHED_BYTES = 112 * 1024

AttributeValue = str | int | bool | bytes


class NotAnEnvelope(Exception):
    """A message in binary mode cannot be an event. Its text says why, in one line without a value of it."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


def is_structured(content_type: str | None) -> bool:
    """Whether the content type names an event format: then the body is the envelope, whatever the headers."""
    return content_type is not None and content_type.strip().lower().startswith(_STRUCTURED)


def is_binary(headers: Mapping[str, object], content_type: str | None) -> bool:
    """Whether the message is in binary mode: a required attribute is a header, and no event format is named."""
    if is_structured(content_type):
        return False
    return any(name in _REQUIRED for name, _, _ in _attributes(headers))


def envelope_bytes(headers: Mapping[str, object], content_type: str | None, body: bytes) -> bytes:
    """The envelope as JSON, without `datacontenttype`: in structured mode the body itself.

    Equal attributes and an equal body give equal bytes, whatever the prefix and whatever the tool that sent the
    message again. Raises NotAnEnvelope for a message in binary mode.
    """
    if not is_binary(headers, content_type):
        return body
    attributes = header_attributes(headers)
    _check_attributes(headers, attributes)
    _check_media_type(content_type or _declared_type(headers))
    written = json.dumps(attributes, sort_keys=True).encode()
    if not body.strip():
        return written
    try:
        from_json(body)  # before it stands between our own braces, where it could bring attributes of its own
    except ValueError:
        raise NotAnEnvelope(Reason.UNREADABLE, "not JSON") from None
    # As it is: reading and writing it would change numbers.
    return written.removesuffix(b"}") + b', "data": ' + body + b"}"


def header_attributes(headers: Mapping[str, object]) -> dict[str, Any]:
    """The attributes that are headers, by name, as values of JSON. Of two that differ, the first one counts."""
    found: dict[str, Any] = {}
    for name, _, value in _attributes(headers):
        found.setdefault(name, _in_json(value))
    return found


def republished_attributes(headers: Mapping[str, object], content_type: str | None) -> dict[str, AttributeValue]:
    """The headers that a message in binary mode needs when it is published again; none in structured mode.

    Each keeps its name. A value is kept in a form that every client can write and every stream keeps, and which is
    read as the same. Of a table that leaves no room for our own headers the longest are dropped.
    """
    if not is_binary(headers, content_type):
        return {}
    kept = {header: value for _, header, value in _attributes(headers)}
    room = _MOST_REPUBLISHED_BYTES
    fitting: dict[str, AttributeValue] = {}
    for header in sorted(kept, key=lambda header: _size(header, kept[header])):
        room -= _size(header, kept[header])
        if room >= 0:
            fitting[header] = kept[header]
    return fitting


def _check_attributes(headers: Mapping[str, object], attributes: Mapping[str, Any]) -> None:
    size = sum(_size(header, value) for _, header, value in _attributes(headers))
    if size > MAX_ATTRIBUTE_BYTES:
        raise NotAnEnvelope(Reason.TOO_LARGE, f"{size} bytes of attributes; {MAX_ATTRIBUTE_BYTES} at most")
    for name, _, value in _attributes(headers):
        if _in_json(value) != attributes[name]:
            raise NotAnEnvelope(Reason.INVALID, f"{name} has different values in two headers")


def _check_media_type(content_type: object) -> None:
    wrong = None
    if not isinstance(content_type, str) or not is_json(content_type):
        wrong = None if content_type in {None, ""} else "json_media_type"
    elif not is_utf8(content_type):
        wrong = "utf8_charset"
    if wrong is not None:
        raise NotAnEnvelope(Reason.INVALID, f"datacontenttype {problem(wrong, {})}")


def _declared_type(headers: Mapping[str, object]) -> object:
    """The data's content type as a header: bridges write one, although the property is its place."""
    named = (value for name, _, value in _headers(headers) if name == "datacontenttype")
    return next(named, None)


def _attributes(headers: Mapping[str, object]) -> Iterator[tuple[str, str, AttributeValue]]:
    return (found for found in _headers(headers) if found[0] not in _NO_ATTRIBUTES)


def _headers(headers: Mapping[str, object]) -> Iterator[tuple[str, str, AttributeValue]]:
    """The attributes: their name, their header and its value. One without a value is not set."""
    for header in sorted(headers):
        found = _ATTRIBUTE.fullmatch(header)
        if found is not None and headers[header] is not None:
            of_http = header[2] == "-"
            name = found["name"].lower() if of_http else found["name"]
            if name == name.lower():  # an attribute's name has no capitals (CloudEvents 1.0.2, 3.1)
                yield name, header, _kept(headers[header])


def _kept(value: object) -> AttributeValue:
    """`value` in the form in which it can be published again.

    A time becomes its text: a client may have sent milliseconds, which ours would lose. A value that no attribute
    can have becomes bytes, so that it stays wrong.
    """
    if isinstance(value, str | int):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    try:
        return json.dumps(value, default=str, sort_keys=True).encode()
    except RecursionError:
        return b"nested too deeply"


def _in_json(value: AttributeValue) -> Any:
    # An object and not a text, so that bytes are never taken for the text of an attribute.
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _size(header: str, value: AttributeValue) -> int:
    length = len(value) if isinstance(value, bytes) else len(str(value).encode(errors="replace"))
    return len(header) + length + 6  # the lengths of both, and the type
