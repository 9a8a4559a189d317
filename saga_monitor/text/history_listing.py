"""The history told as it was said: each entry of the stream as a line, without going through the projection."""

import datetime as dt
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic.fields import FieldInfo
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from choregraphie import BrokerUnavailable
from choregraphie.messaging import History, HistoryEntry
from choregraphie.terminal.formats import format_amount
from contracts.registry import EVENTS
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.diagnosis.wording import IGNORED_WORDS, because
from saga_monitor.records.broker_status import LONGEST_SILENCE
from saga_monitor.records.parser import (
    UNKNOWN,
    IgnoredEntry,
    Record,
    SaidEntry,
    read_entry,
)
from saga_monitor.reports.report import rfc3339
from saga_monitor.text.tables import safe

_KINDS = {SaidEntry: "said", Retry: "retried", DeadLetter: "dead_letter", IgnoredEntry: "ignored"}
# One silence after the newest entry that there was is the end; before it, or where it cannot be told
# how much there is to come, more than one.
_SILENCES = 2
# As wide as a time, so that what follows stays below what it is below.
_NO_TIME = "–".ljust(24)


@dataclass(frozen=True)
class Wanted:
    """Which entries to tell: every event unless narrowed; `troubles`: retries, dead letters, bad entries too.

    An event of a type or version that the choreography does not know was said all the same.
    """

    type: str | None = None
    commande_id: str | None = None
    since: dt.datetime | None = None
    troubles: bool = False

    def takes(self, entry: HistoryEntry, record: Record) -> bool:
        if isinstance(record, SaidEntry):
            told = self.type in {None, record.heard.type}
        elif isinstance(record, IgnoredEntry) and record.why == UNKNOWN:
            told = self.type in {None, record.type}
        elif isinstance(record, IgnoredEntry):
            told = self.troubles and self.type is None
        else:
            told = self.troubles and self.type in {None, _type(entry)}
        return told and self.commande_id in {None, _about(record)}


@dataclass
class _Beginning:
    """Finds the first entry that was said at `since` or later.

    The broker delivers whole chunks, so the first entries may be older. Their own times tell, until one is not
    older: the stream holds entries in the order in which they came, so all that follow came later, whatever their
    clocks say. A time that has not come yet is a wrong clock's, and begins nothing.
    """

    since: dt.datetime | None
    now: dt.datetime
    reached: bool = False

    def is_before(self, record: Record) -> bool:
        time = record.heard.time if isinstance(record, SaidEntry) else _time_of_unknown(record)
        if self.since is None or self.reached or time is None:
            return False
        time = time.replace(tzinfo=time.tzinfo or dt.UTC)
        self.reached = self.since <= time <= self.now
        return time < self.since


def _time_of_unknown(record: Record) -> dt.datetime | None:
    # A retry and a dead letter have the time of the message that they were made of.
    return record.time if isinstance(record, IgnoredEntry) else None


async def tell(
    history: History, wanted: Wanted, *, follow: bool, now: dt.datetime
) -> AsyncGenerator[tuple[HistoryEntry, Record]]:
    """The entries that are `wanted`: up to what is there by `now`, with `follow` without end.

    Raises BrokerUnavailable when the session is lost.
    """
    ending, beginning = _Ending(history, wanted.since is not None), _Beginning(wanted.since, now)
    if not follow and not await ending.asked():
        return
    async with aclosing(history.entries(wanted.since or "first")) as batches:
        async for batch in batches:
            for entry in batch:
                record = read_entry(entry, dt.datetime.now(dt.UTC))
                if not follow and entry.offset > ending.last and _after(record, now):
                    return
                if not beginning.is_before(record) and wanted.takes(entry, record):
                    yield entry, record
            if not follow and await ending.reached(batch):
                return


@dataclass
class _Ending:
    """Finds the end of the stream: the newest entry that there was, and a silence after it.

    `open`: from a time on there may be nothing to come. `last`: the newest offset there was; `seen`: read.
    """

    history: History
    open: bool
    last: int = -1
    seen: int = -1
    silences: int = 0

    async def asked(self) -> bool:
        """Ask anew where the stream ends; False when it is empty."""
        newest = await self.history.last()
        self.last = newest.offset if newest else -1
        return newest is not None

    async def reached(self, batch: Sequence[HistoryEntry]) -> bool:
        """Whether `batch` ends it. Raises BrokerUnavailable when the stream should go on, and has not for long."""
        if batch:
            self.seen, self.silences = batch[-1].offset, 0
            return False
        self.silences += 1
        if self.silences >= _SILENCES and self.seen < self.last:
            await self.asked()
            if self.seen < 0 and self.open and await self._delivers():
                return True
        if self.silences > LONGEST_SILENCE and self.seen < self.last:
            raise BrokerUnavailable(f"the history stream goes on after entry {self.seen}, and delivers nothing")
        return self.seen >= self.last

    async def _delivers(self) -> bool:
        """Whether the newest entry comes at once: then there was none to tell before it."""
        async with aclosing(self.history.entries(self.last)) as batches:
            async for batch in batches:
                return bool(batch)
        return False


def _after(record: Record, now: dt.datetime) -> bool:
    """A busy stream has no end: what is said while it is read belongs to the next reading.

    Only beyond what the broker counted at the beginning, for an event may be dated in the future; nor is that
    count an end by itself, for it lags behind what was said.
    """
    return isinstance(record, SaidEntry) and record.heard.time is not None and record.heard.time > now


def as_json(entry: HistoryEntry, record: Record) -> dict[str, Any]:
    """An entry for a program: the event as its speaker wrote it, and what the stream knows of it."""
    known = not isinstance(record, IgnoredEntry) or record.why != UNKNOWN
    told: dict[str, Any] = {
        "offset": entry.offset,
        "kind": _KINDS[type(record)] if known else UNKNOWN,
        "exchange": entry.exchange,
        "event": _body(entry.body),
    }
    if isinstance(record, Retry):
        told |= {"attempt": record.attempt, "next": rfc3339(record.next), "detail": record.detail}
    elif isinstance(record, DeadLetter):
        told |= {"reason": record.reason, "detail": record.detail}
    elif isinstance(record, IgnoredEntry):
        told |= {"why": record.why}
    return told


def as_line(entry: HistoryEntry, record: Record) -> Text:
    """An entry for a person: when, what, of which order, and what it says."""
    line = safe(_when(entry, record) or _NO_TIME, "dim")
    line.append(f"  {entry.offset:>6}  ", style="dim")
    for text, style in _words(entry, record):
        line.append_text(safe(text, style, limit=400)).append("  ")
    line.rstrip()
    return line


def as_paragraph(entry: HistoryEntry, record: Record) -> RenderableType:
    """The same for a narrow terminal: under when and what, the rest wraps between words."""
    when, (what, *rest) = (
        _when(entry, record) or _NO_TIME,
        [safe(text.strip(), style) for text, style in _words(entry, record)],
    )
    head = safe(when, "dim").append(f"  {entry.offset:>6}  ", style="dim").append_text(what)
    return Group(head, Padding(Text("  ").join(text for text in rest if text), (0, 0, 0, 4)))


def _words(entry: HistoryEntry, record: Record) -> Iterator[tuple[str, str]]:
    if isinstance(record, SaidEntry):
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
        yield f"{_type(entry) or 'an unreadable message'}: {_failure(record)}", "red"


def _failure(record: Retry | DeadLetter) -> str:
    if isinstance(record, DeadLetter):
        return because(record.reason, record.detail)
    return f"try {record.attempt} failed{f' ({record.detail})' if record.detail else ''}"


def _when(entry: HistoryEntry, record: Record) -> str | None:
    time = entry.timestamp
    if isinstance(record, SaidEntry):
        time = record.heard.time
    elif isinstance(record, IgnoredEntry):
        time = record.time or time
    return rfc3339(time.replace(tzinfo=time.tzinfo or dt.UTC)) if time else None


def _about(record: Record) -> str | None:
    return record.commande_id or None


def _type(entry: HistoryEntry) -> str | None:
    body = _body(entry.body)
    type_ = body.get("type") if isinstance(body, dict) else None
    return type_ if isinstance(type_, str) else None


def _data(body: bytes) -> str:
    """What an event says, without the order's id that stands before it."""
    envelope = _body(body)
    data = envelope.get("data") if isinstance(envelope, dict) else None
    said = {name: value for name, value in data.items() if name != "commande_id"} if isinstance(data, dict) else {}
    known = EVENTS.get(envelope["type"]) if said and isinstance(envelope.get("type"), str) else None
    fields = known.model_fields if known else {}
    return ", ".join(f"{name}={_value(value, fields.get(name))}" for name, value in said.items())


def _value(value: Any, field: FieldInfo | None) -> str:
    """A value of an event's data; an amount as amounts are shown everywhere."""
    if value is None:
        return "none"
    is_amount = field is not None and field.annotation is Decimal
    return format_amount(value) if is_amount and isinstance(value, int | float) else str(value)


def _body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body[:1000].decode(errors="backslashreplace")
