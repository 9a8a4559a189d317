"""Parses a stream entry into a record: event, retry, hold, dead letter, act of an operator, or ignored.

Nothing here raises for what an entry holds.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from choregraphie.dead_letters.audit import ENDING, read_record
from choregraphie.dead_letters.letter import is_brokers_own, letter_id, reason_of
from choregraphie.messaging import HistoryEntry
from choregraphie.saga.content_modes import NotAnEnvelope, envelope_bytes
from choregraphie.saga.envelope import MAX_BODY_BYTES, Envelope, EnvelopeHeader, Instance
from choregraphie.saga.rfc3339 import utc
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    DETAIL_HEADER,
    HELD_HEADER,
    HOLD_KEY,
    NEXT_HEADER,
    OPERATORS,
    SET_ASIDE_HEADER,
    dlx,
    retry,
)
from saga_monitor.analysis.events_of_saga import LONGEST_UNANSWERED, HeardEvent
from saga_monitor.analysis.messages import DeadLetter, Hold, OperatorAct, Retry
from saga_monitor.records.event_reader import EventReader, KnownType
from saga_monitor.records.hold_reader import read_hold
from saga_monitor.records.lenient_parsing import PartialMessage, copy_of, parse_partial, text
from saga_monitor.records.signatures import UNSIGNED, UNSIGNED_RECORD, is_signed, is_signed_record
from saga_monitor.records.timestamps import EntryClock, time_of

if TYPE_CHECKING:
    from choregraphie.signing.signature import Verifier

_NOT_AHEAD = dt.timedelta()
# Why an event of an unknown type or version is ignored.
UNKNOWN = "unknown"


class EventEntry(NamedTuple):
    """A valid event that came by its sender's exchange. `at`: the best known time.

    `ahead`: by how much its speaker's clock was ahead of ours when it was read. `named`: the values of the data
    fields by which an instance is found. `reason`: why it was said, when it says so.
    """

    offset: int
    saga: str
    key: str
    heard: HeardEvent
    source: str
    reason: str | None
    at: dt.datetime
    ahead: dt.timedelta = _NOT_AHEAD
    named: tuple[str, ...] = ()

    @property
    def instance(self) -> Instance:
        return Instance(self.saga, self.key)


@dataclass(frozen=True, slots=True)
class IgnoredEntry:
    """An entry that is only counted. `why`: `unreadable`, `unknown` (type or version), `untrusted` or `unsigned`.

    Of what can be read there is more to say: the exchange it came by, what it claims, and when it came (`at`).
    """

    offset: int
    why: str
    exchange: str | None = field(default=None, compare=False)
    type: str = field(default="", compare=False)
    source: str = field(default="", compare=False)
    saga: str | None = field(default=None, compare=False)
    key: str = field(default="", compare=False)
    at: dt.datetime | None = field(default=None, compare=False)
    time: dt.datetime | None = field(default=None, compare=False)


Record = EventEntry | Retry | Hold | DeadLetter | OperatorAct | IgnoredEntry


class EntryParser:
    """Parses entries of a history of `sagas`. `verifier`: where they are signed."""

    def __init__(self, sagas: SagaSet, verifier: "Verifier | None" = None) -> None:
        self._verifier = verifier
        self._sagas = sagas
        self._reader = EventReader(sagas)
        self._retries = {retry(service): service for service in sagas.services}
        self._dead = {dlx(service): service for service in sagas.services}

    def parse(self, entry: HistoryEntry, now: dt.datetime) -> Record:
        """Parses a single entry. `now` limits the times of others and is used when an entry has no time."""
        return self.parse_next(entry, EntryClock(now))

    def parse_next(self, entry: HistoryEntry, clock: EntryClock) -> Record:
        """Parses the next entry of a reading; `clock` dates it."""
        if entry.exchange in self._retries:
            read = read_hold if entry.routing_key == HOLD_KEY else self._retried
            return read(entry, self._retries[entry.exchange], clock)
        if entry.exchange in self._dead:
            return self._set_aside(entry, self._dead[entry.exchange], clock)
        if entry.exchange == OPERATORS:
            signed = is_signed_record(self._verifier, entry)
            return _acted(entry, clock) if signed else IgnoredEntry(entry.offset, UNSIGNED_RECORD)
        return self._said(entry, clock)

    def _said(self, entry: HistoryEntry, clock: EntryClock) -> Record:
        if len(entry.body) > MAX_BODY_BYTES:
            return IgnoredEntry(entry.offset, "unreadable")
        try:
            received = envelope_bytes(entry.headers, entry.content_type, entry.body)
            found = self._reader.read(received, entry.routing_key)
        except (NotAnEnvelope, ValidationError, RecursionError):
            return IgnoredEntry(entry.offset, "unreadable")
        if isinstance(found, EnvelopeHeader):
            return self._unknown(entry, found, clock)
        known, envelope = found
        # Only a speaker may write to its exchange, so an event from another one is forged or misdirected.
        speaker = known.event.SAID_BY
        trusted = entry.exchange == known.exchange and envelope.sender == speaker
        if not trusted or not is_signed(self._verifier, entry, received, speaker, envelope.source):
            claims = (text(entry.exchange), known.event.TYPE, envelope.source, known.saga, envelope.key)
            return IgnoredEntry(entry.offset, UNSIGNED if trusted else "untrusted", *claims, clock.of(None))
        return _trusted(entry, known, envelope, clock)

    def _unknown(self, entry: HistoryEntry, head: EnvelopeHeader, clock: EntryClock) -> IgnoredEntry:
        partial = parse_partial(entry)
        time = time_of(partial.time) or utc(entry.timestamp)
        saga, key = self._about(partial)
        claims = (text(entry.exchange), head.type, text(partial.source), saga, key or "")
        return IgnoredEntry(entry.offset, UNKNOWN, *claims, clock.of(time), time)

    def _retried(self, entry: HistoryEntry, service: str, clock: EntryClock) -> Retry:
        partial = parse_partial(entry)
        saga, key = self._about(partial)
        attempt = entry.headers.get(ATTEMPT_HEADER)
        return Retry(
            offset=entry.offset,
            saga=saga,
            key=key,
            service=service,
            event_id=partial.id,
            attempt=attempt if isinstance(attempt, int) and 0 < attempt < 1_000_000 else 1,
            at=clock.of(utc(entry.timestamp)),
            next=time_of(entry.headers.get(NEXT_HEADER)),
            detail=text(entry.headers.get(DETAIL_HEADER)),
            source=text(partial.source),
        )

    def _set_aside(self, entry: HistoryEntry, service: str, clock: EntryClock) -> DeadLetter | IgnoredEntry:
        if HELD_HEADER in entry.headers and not is_brokers_own(entry.headers):
            return IgnoredEntry(entry.offset, "held")  # the same letter, which an operator has marked
        partial = parse_partial(entry)
        saga, key = self._about(partial)
        return DeadLetter(
            offset=entry.offset,
            saga=saga,
            key=key,
            service=service,
            event_id=partial.id,
            type=partial.type,
            reason=reason_of(entry.headers),
            detail=text(entry.headers.get(DETAIL_HEADER)),
            at=clock.of(utc(entry.timestamp) or time_of(entry.headers.get(SET_ASIDE_HEADER))),
            source=text(partial.source),
            copy=copy_of(entry),
            letter=letter_id(service, entry.routing_key, entry.headers, entry.content_type, entry.body),
        )

    def _about(self, message: PartialMessage) -> tuple[str | None, str | None]:
        """The saga and the key of the instance that a message is about, as far as they can be read.

        The type tells the saga; of an unknown type, the key field that the data has. It may have those of other
        sagas beside its own: then the one that the subject repeats.
        """
        saga = self._sagas.of_type(message.type)
        named = {one.name: key for one in ([saga] if saga else self._sagas) if (key := message.key(one.key))}
        subject = message.subject_key
        for name, key in sorted(named.items(), key=lambda item: item[1] != subject):
            return name, key
        return saga.name if saga else None, subject


def _trusted(entry: HistoryEntry, known: KnownType, envelope: Envelope[Any], clock: EntryClock) -> EventEntry:
    event, data = known.event, vars(envelope.data)
    time, ahead = _trusted_time(entry, envelope, clock)
    heard = HeardEvent(
        envelope.id,
        event.TYPE,
        event.SAID_BY,
        time,
        envelope.causationid,
        data.get(known.decides or ""),
        known.nothing_undone(data),
        entry.offset,
        envelope.source,
    )
    return EventEntry(
        entry.offset,
        known.saga,
        data[event.KEY],
        heard,
        envelope.source,
        data.get(event.REASON),
        clock.of(time),
        ahead,
        tuple([str(data[name]) for name in known.searched if data[name]]),
    )


def _acted(entry: HistoryEntry, clock: EntryClock) -> OperatorAct | IgnoredEntry:
    record = read_record(entry.body)
    if record is None:
        return IgnoredEntry(entry.offset, "unreadable")
    named = {name: text(record.get(name)) for name in ("act", "letter", "by", "because", "service")}
    return OperatorAct(
        **named,
        offset=entry.offset,
        at=clock.of(utc(entry.timestamp)),
        ends=bool(named["letter"]) and named["act"] in ENDING,
        saga=text(record.get("saga")) or None,
        key=text(record.get("key")) or None,
    )


def _trusted_time(
    entry: HistoryEntry, envelope: Envelope[Any], clock: EntryClock
) -> tuple[dt.datetime | None, dt.timedelta]:
    """When an event says that it was said, and how much later than now that is."""
    time = utc(envelope.time) or utc(entry.timestamp)
    if time is None or time <= clock.now:
        return time, _NOT_AHEAD
    ahead = time - clock.now
    # A time that is days ahead is useless; our own clock replaces it.
    return (None if ahead > LONGEST_UNANSWERED else time), ahead
