"""Reads what can be read of a message that is bad or not meant for us. Never raises."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.envelope import MAX_BODY_BYTES
from saga_monitor.analysis.messages import Copy

# How much of a dead letter is kept.
START_BYTES = 4096
MOST_HEADERS = 50

_Short = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _AboutData(BaseModel):
    commande_id: _Short


class PartialMessage(BaseModel):
    """The fields that can be read of an invalid message."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: _Short | None = None
    type: _Short | None = None
    source: Any = None
    time: Any = None
    data: _AboutData | None = None


def copy_of(entry: HistoryEntry) -> Copy:
    """The copy of `entry` that is kept."""
    names = sorted(entry.headers)[:MOST_HEADERS]
    headers = {text(name): _header(entry.headers[name]) for name in names}
    return Copy(entry.body[:START_BYTES], len(entry.body), headers, text(entry.routing_key))


def _header(value: object) -> Any:
    if isinstance(value, bool | int) or value is None:
        return value
    return text(value) if isinstance(value, str | bytes) else text(str(value))


def parse_partial(body: bytes) -> PartialMessage:
    if len(body) > MAX_BODY_BYTES:
        return PartialMessage()
    try:
        return PartialMessage.model_validate_json(body)
    except (ValidationError, RecursionError):
        return PartialMessage()


def text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = value if isinstance(value, str) else ""
    # A lone surrogate cannot be stored in SQLite.
    return text[:500].encode(errors="replace").decode()
