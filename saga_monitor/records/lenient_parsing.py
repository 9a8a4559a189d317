"""Reads what can be read of a message that is bad or not meant for us. Never raises."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.content_modes import NotAnEnvelope, envelope_bytes, header_attributes
from choregraphie.saga.envelope import MAX_BODY_BYTES
from saga_monitor.analysis.messages import Copy

# How much of a dead letter is kept.
START_BYTES = 4096
MOST_HEADERS = 50

_LONGEST = 100
_Short = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST)]


class PartialMessage(BaseModel):
    """The fields that can be read of an invalid message."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: _Short | None = None
    type: _Short | None = None
    source: Any = None
    time: Any = None
    subject: Any = None
    data: Any = None

    def key(self, field: str) -> str | None:
        """The text in that field of the data, if it may be a key."""
        return _as_key(self.data.get(field)) if isinstance(self.data, dict) else None

    @property
    def subject_key(self) -> str | None:
        """The subject, if it may be a key."""
        return _as_key(self.subject)


def _as_key(value: object) -> str | None:
    return text(value) if isinstance(value, str) and 0 < len(value) <= _LONGEST else None


def copy_of(entry: HistoryEntry) -> Copy:
    """The copy of `entry` that is kept."""
    names = sorted(entry.headers)[:MOST_HEADERS]
    headers = {text(name): _header(entry.headers[name]) for name in names}
    return Copy(entry.body[:START_BYTES], len(entry.body), headers, text(entry.routing_key))


def _header(value: object) -> Any:
    if isinstance(value, bool | int) or value is None:
        return value
    return text(value) if isinstance(value, str | bytes) else text(str(value))


def readable_envelope(entry: HistoryEntry) -> bytes:
    """The envelope of `entry`. In binary mode, where its data cannot be read, the attributes without it."""
    try:
        return envelope_bytes(entry.headers, entry.content_type, entry.body)
    except NotAnEnvelope:
        return json.dumps(header_attributes(entry.headers)).encode()


def parse_partial(entry: HistoryEntry) -> PartialMessage:
    if len(entry.body) > MAX_BODY_BYTES:
        return PartialMessage()
    try:
        return PartialMessage.model_validate_json(readable_envelope(entry))
    except (ValidationError, RecursionError):
        return PartialMessage()


def text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = value if isinstance(value, str) else ""
    # A lone surrogate cannot be stored in SQLite.
    return text[:500].encode(errors="replace").decode()
