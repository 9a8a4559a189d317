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
from choregraphie.saga.content_modes import is_binary
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_amount
from saga_monitor.analysis.messages import DeadLetter, Hold, OperatorAct, Retry
from saga_monitor.diagnosis.wording import IGNORED_WORDS, because
from saga_monitor.records.parser import (
    UNKNOWN,
    EventEntry,
    IgnoredEntry,
    Record,
)
from saga_monitor.reports.report import rfc3339
from saga_monitor.stream.history_reader import event_of, type_of
from saga_monitor.text.tables import safe

_KINDS = {
    EventEntry: "said",
    Retry: "retried",
    Hold: "hold",
    DeadLetter: "dead_letter",
    OperatorAct: "operator",
    IgnoredEntry: "ignored",
}
# As wide as a time, so that the columns stay aligned.
_NO_TIME = "–".ljust(24)


def as_json(entry: HistoryEntry, record: Record) -> dict[str, Any]:
    """An entry for a program: the event as it was published, and its place in the stream."""
    known = not isinstance(record, IgnoredEntry) or record.why != UNKNOWN
    shown: dict[str, Any] = {
        "offset": entry.offset,
        "kind": _KINDS[type(record)] if known else UNKNOWN,
        "exchange": entry.exchange,
        "content_mode": "binary" if is_binary(entry.headers, entry.content_type) else "structured",
        "event": event_of(entry),
    }
    if isinstance(record, Retry):
        shown |= {"attempt": record.attempt, "next": rfc3339(record.next), "detail": record.detail}
    elif isinstance(record, Hold):
        times = {"since": rfc3339(record.since), "next": rfc3339(record.next), "until": rfc3339(record.until)}
        about = {"service": record.service, "outside": record.outside, "open": record.is_open}
        shown |= {**about, **times, "detail": record.detail}
    elif isinstance(record, DeadLetter):
        shown |= {"reason": record.reason, "detail": record.detail}
    elif isinstance(record, OperatorAct):
        shown |= {"act": record.act, "letter": record.letter, "by": record.by, "because": record.because}
    elif isinstance(record, IgnoredEntry):
        shown |= {"why": record.why}
    return shown


def as_line(entry: HistoryEntry, record: Record, sagas: SagaSet) -> Text:
    """An entry for a person: time, offset, type, key, data."""
    line = safe(_when(entry, record) or _NO_TIME, "dim")
    line.append(f"  {entry.offset:>6}  ", style="dim")
    for text, style in _words(entry, record, sagas):
        line.append_text(safe(text, style, limit=400)).append("  ")
    line.rstrip()
    return line


def as_paragraph(entry: HistoryEntry, record: Record, sagas: SagaSet) -> RenderableType:
    """The same for a narrow terminal: key and data below, wrapped between words."""
    when, (what, *rest) = (
        _when(entry, record) or _NO_TIME,
        [safe(text.strip(), style) for text, style in _words(entry, record, sagas)],
    )
    head = safe(when, "dim").append(f"  {entry.offset:>6}  ", style="dim").append_text(what)
    return Group(head, Padding(Text("  ").join(text for text in rest if text), (0, 0, 0, 4)))


def _words(entry: HistoryEntry, record: Record, sagas: SagaSet) -> Iterator[tuple[str, str]]:
    if isinstance(record, EventEntry):
        yield f"{record.heard.type:<28}", "bold"
        yield record.key, "cyan"
        yield _data(event_of(entry), sagas), ""
    elif isinstance(record, IgnoredEntry) and record.why == UNKNOWN:
        yield f"{record.type:<28}", "bold"
        yield record.key or "–", "cyan"
        yield _data(event_of(entry), sagas), ""
        yield "not of this choreography", "yellow"
    elif isinstance(record, IgnoredEntry):
        yield f"{'ignored':<28}", "yellow"
        yield f"{IGNORED_WORDS.get(record.why, record.why)}; it came by {entry.exchange}", ""
    elif isinstance(record, OperatorAct):
        yield f"{'operator':<28}", "bold"
        yield record.key or "–", "cyan"
        yield f"{record.service}{f', letter {record.letter}' if record.letter else ''}: {record.words}", ""
    elif isinstance(record, Hold):
        does = "holds its inbox" if record.is_open else "goes on"
        yield f"{f'{record.service} {does}':<28}", "yellow"
        yield "–", "cyan"
        yield f"{record.outside}: {record.detail}", ""
    else:
        retried = isinstance(record, Retry)
        yield f"{f'{record.service} will retry' if retried else f'{record.service} set aside':<28}", "red"
        yield record.key or "–", "cyan"
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


def _data(event: Any, sagas: SagaSet) -> str:
    """The data of an event, without the key, which stands before it."""
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, dict):
        return ""
    type_ = event.get("type")
    known = sagas.event_types.get(type_) if isinstance(type_, str) else None
    fields = known.model_fields if known else {}
    keys = {known.KEY} if known else {*sagas.keys}
    return ", ".join(
        f"{name}={_value(value, fields.get(name))}" for name, value in data.items() if name not in keys
    )


def _value(value: Any, field: FieldInfo | None) -> str:
    """A value of an event's data; an amount with two decimals, as everywhere."""
    if value is None:
        return "none"
    is_amount = field is not None and field.annotation is Decimal
    return format_amount(value) if is_amount and isinstance(value, int | float) else str(value)
