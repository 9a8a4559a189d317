"""An entry of the history stream as a line, as a paragraph, and as an object for a program."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydantic.fields import FieldInfo
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from choregraphie.messaging import HistoryEntry
from choregraphie.terminal.formats import format_amount
from contracts.registry import EVENTS
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.diagnosis.wording import IGNORED_WORDS, because
from saga_monitor.records.parser import (
    UNKNOWN,
    EventEntry,
    IgnoredEntry,
    Record,
)
from saga_monitor.reports.report import rfc3339
from saga_monitor.stream.history_reader import body_of, type_of
from saga_monitor.text.tables import safe

_KINDS = {EventEntry: "said", Retry: "retried", DeadLetter: "dead_letter", IgnoredEntry: "ignored"}
# As wide as a time, so that the columns stay aligned.
_NO_TIME = "–".ljust(24)


def as_json(entry: HistoryEntry, record: Record) -> dict[str, Any]:
    """An entry for a program: the event as it was published, and its place in the stream."""
    known = not isinstance(record, IgnoredEntry) or record.why != UNKNOWN
    shown: dict[str, Any] = {
        "offset": entry.offset,
        "kind": _KINDS[type(record)] if known else UNKNOWN,
        "exchange": entry.exchange,
        "event": body_of(entry.body),
    }
    if isinstance(record, Retry):
        shown |= {"attempt": record.attempt, "next": rfc3339(record.next), "detail": record.detail}
    elif isinstance(record, DeadLetter):
        shown |= {"reason": record.reason, "detail": record.detail}
    elif isinstance(record, IgnoredEntry):
        shown |= {"why": record.why}
    return shown


def as_line(entry: HistoryEntry, record: Record) -> Text:
    """An entry for a person: time, offset, type, order, data."""
    line = safe(_when(entry, record) or _NO_TIME, "dim")
    line.append(f"  {entry.offset:>6}  ", style="dim")
    for text, style in _words(entry, record):
        line.append_text(safe(text, style, limit=400)).append("  ")
    line.rstrip()
    return line


def as_paragraph(entry: HistoryEntry, record: Record) -> RenderableType:
    """The same for a narrow terminal: order and data below, wrapped between words."""
    when, (what, *rest) = (
        _when(entry, record) or _NO_TIME,
        [safe(text.strip(), style) for text, style in _words(entry, record)],
    )
    head = safe(when, "dim").append(f"  {entry.offset:>6}  ", style="dim").append_text(what)
    return Group(head, Padding(Text("  ").join(text for text in rest if text), (0, 0, 0, 4)))


def _words(entry: HistoryEntry, record: Record) -> Iterator[tuple[str, str]]:
    if isinstance(record, EventEntry):
        yield f"{record.heard.type:<28}", "bold"
        yield record.commande_id, "cyan"
        yield _data(entry.body), ""
    elif isinstance(record, IgnoredEntry) and record.why == UNKNOWN:
        yield f"{record.type:<28}", "bold"
        yield record.commande_id or "–", "cyan"
        yield _data(entry.body), ""
        yield "not of this choreography", "yellow"
    elif isinstance(record, IgnoredEntry):
        yield f"{'ignored':<28}", "yellow"
        yield f"{IGNORED_WORDS.get(record.why, record.why)}; it came by {entry.exchange}", ""
    else:
        retried = isinstance(record, Retry)
        yield f"{f'{record.service} will retry' if retried else f'{record.service} set aside':<28}", "red"
        yield record.commande_id or "–", "cyan"
        yield f"{type_of(entry) or 'an unreadable message'}: {_failure(record)}", "red"


def _failure(record: Retry | DeadLetter) -> str:
    if isinstance(record, DeadLetter):
        return because(record.reason, record.detail)
    return f"try {record.attempt} failed{f' ({record.detail})' if record.detail else ''}"


def _when(entry: HistoryEntry, record: Record) -> str | None:
    time = entry.timestamp
    if isinstance(record, EventEntry):
        time = record.heard.time
    elif isinstance(record, IgnoredEntry):
        time = record.time or time
    return rfc3339(time.replace(tzinfo=time.tzinfo or dt.UTC)) if time else None


def _data(body: bytes) -> str:
    """The data of an event, without the order's id, which stands before it."""
    envelope = body_of(body)
    data = envelope.get("data") if isinstance(envelope, dict) else None
    said = {name: value for name, value in data.items() if name != "commande_id"} if isinstance(data, dict) else {}
    known = EVENTS.get(envelope["type"]) if said and isinstance(envelope.get("type"), str) else None
    fields = known.model_fields if known else {}
    return ", ".join(f"{name}={_value(value, fields.get(name))}" for name, value in said.items())


def _value(value: Any, field: FieldInfo | None) -> str:
    """A value of an event's data; an amount with two decimals, as everywhere."""
    if value is None:
        return "none"
    is_amount = field is not None and field.annotation is Decimal
    return format_amount(value) if is_amount and isinstance(value, int | float) else str(value)
