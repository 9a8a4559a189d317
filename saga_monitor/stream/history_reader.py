"""The entries of the history stream that are wanted, read from it directly, without the projection."""

import datetime as dt
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from choregraphie import BrokerUnavailable
from choregraphie.messaging import History, HistoryEntry
from choregraphie.saga.content_modes import is_binary
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.records.broker_status import LONGEST_SILENCE
from saga_monitor.records.lenient_parsing import readable_envelope
from saga_monitor.records.parser import UNKNOWN, EntryParser, EventEntry, IgnoredEntry, Record

if TYPE_CHECKING:
    from choregraphie.signing.signature import Verifier

# Before the newest entry that there was, one silence says nothing.
_SILENCES = 2


@dataclass(frozen=True)
class Wanted:
    """Which entries to tell: every event unless narrowed; `everything`: retries, dead letters, bad entries too.

    An event of a type or version that the choreography does not know was said all the same.
    """

    type: str | None = None
    saga: str | None = None
    key: str | None = None
    since: dt.datetime | None = None
    everything: bool = False

    def takes(self, entry: HistoryEntry, record: Record) -> bool:
        if isinstance(record, EventEntry):
            told = self.type in {None, record.heard.type}
        elif isinstance(record, IgnoredEntry) and record.why == UNKNOWN:
            told = self.type in {None, record.type}
        elif isinstance(record, IgnoredEntry):
            told = self.everything and self.type is None
        else:
            told = self.everything and self.type in {None, type_of(entry)}
        return told and self.saga in {None, record.saga} and self.key in {None, record.key or None}


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
        time = record.heard.time if isinstance(record, EventEntry) else _time_of_unknown(record)
        if self.since is None or self.reached or time is None:
            return False
        time = time.replace(tzinfo=time.tzinfo or dt.UTC)
        self.reached = self.since <= time <= self.now
        return time < self.since


def _time_of_unknown(record: Record) -> dt.datetime | None:
    # A retry and a dead letter have the time of the message that they were made of.
    return record.time if isinstance(record, IgnoredEntry) else None


async def wanted_entries(
    history: History,
    sagas: SagaSet,
    wanted: Wanted,
    *,
    follow: bool,
    now: dt.datetime,
    verifier: "Verifier | None" = None,
) -> AsyncGenerator[tuple[HistoryEntry, Record]]:
    """The entries that are `wanted`: up to what is there by `now`, with `follow` without end.

    Raises BrokerUnavailable when the session is lost.
    """
    parser = EntryParser(sagas, verifier)
    ending, beginning = _Ending(history, wanted.since is not None), _Beginning(wanted.since, now)
    if not follow and not await ending.asked():
        return
    async with aclosing(history.entries(wanted.since or "first")) as batches:
        async for batch in batches:
            for entry in batch:
                record = parser.parse(entry, dt.datetime.now(dt.UTC))
                if not follow and entry.offset > ending.last and _after(record, now):
                    return
                if not beginning.is_before(record) and wanted.takes(entry, record):
                    yield entry, record
            if not follow and await ending.reached(batch):
                return


@dataclass
class _Ending:
    """Finds the end of the stream: the newest entry that there was when it was asked.

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
            return self.seen >= self.last
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

    Only beyond the newest entry that there was at the beginning, for an event may be dated in the future.
    """
    return isinstance(record, EventEntry) and record.heard.time is not None and record.heard.time > now


def type_of(entry: HistoryEntry) -> str | None:
    event = event_of(entry)
    type_ = event.get("type") if isinstance(event, dict) else None
    return type_ if isinstance(type_, str) else None


def event_of(entry: HistoryEntry) -> Any:
    """The envelope as an object, in either content mode; of a body that is not JSON, its beginning as a text."""
    envelope = readable_envelope(entry)
    try:
        event = json.loads(envelope)
    except (ValueError, RecursionError):
        return envelope[:1000].decode(errors="backslashreplace")
    if is_binary(entry.headers, entry.content_type) and entry.content_type:
        event["datacontenttype"] = entry.content_type
    return event
