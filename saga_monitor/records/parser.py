"""Parses a stream entry into a record: event, retry, dead letter, or ignored.

Nothing here raises for what an entry holds.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.envelope import MAX_BODY_BYTES, Envelope, EnvelopeHeader, Event
from choregraphie.saga.registry import adapter
from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    DETAIL_HEADER,
    NEXT_HEADER,
    REASON_HEADER,
    dlx,
    events,
    retry,
)
from contracts.choreography import CHOREOGRAPHY
from contracts.registry import EVENTS
from saga_monitor.analysis.events_of_saga import LONGEST_UNANSWERED, HeardEvent
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.records.lenient_parsing import copy_of, parse_partial, text
from saga_monitor.records.timestamps import EntryClock, time_of, utc

_RETRIES = {retry(service): service for service in CHOREOGRAPHY.services}
_DEAD = {dlx(service): service for service in CHOREOGRAPHY.services}
# Headers of a dead letter made by the broker and not by a service, and its most common reason.
_BROKERS_OWN = ("x-first-death-reason", "x-death")
_CRASH_LOOP = "delivery_limit"
# Why an event of an unknown type or version is ignored.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EventEntry:
    """A valid event that came by its sender's exchange. `at`: the best known time.

    `ahead`: by how much its speaker's clock was ahead of ours when it was read. `named`: the values of the data
    fields by which an order is found.
    """

    offset: int
    commande_id: str
    heard: HeardEvent
    source: str
    raison: str | None
    at: dt.datetime
    ahead: dt.timedelta = dt.timedelta()
    named: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class IgnoredEntry:
    """An entry that is only counted. `why`: `unreadable`, `unknown` (type or version) or `untrusted`.

    Of what can be read there is more to say: the exchange it came by, what it claims, and when it came (`at`).
    """

    offset: int
    why: str
    exchange: str | None = field(default=None, compare=False)
    type: str = field(default="", compare=False)
    source: str = field(default="", compare=False)
    commande_id: str = field(default="", compare=False)
    at: dt.datetime | None = field(default=None, compare=False)
    time: dt.datetime | None = field(default=None, compare=False)


Record = EventEntry | Retry | DeadLetter | IgnoredEntry


def parse_entry(entry: HistoryEntry, now: dt.datetime) -> Record:
    """Parses a single entry. `now` limits the times of others and is used when an entry has no time."""
    return parse_next(entry, EntryClock(now))


def parse_next(entry: HistoryEntry, clock: EntryClock) -> Record:
    """Parses the next entry of a reading; `clock` dates it."""
    if entry.exchange in _RETRIES:
        return _retried(entry, _RETRIES[entry.exchange], clock)
    if entry.exchange in _DEAD:
        return _dead(entry, _DEAD[entry.exchange], clock)
    return _said(entry, clock)


def _said(entry: HistoryEntry, clock: EntryClock) -> Record:
    if len(entry.body) > MAX_BODY_BYTES:
        return IgnoredEntry(entry.offset, "unreadable")
    try:
        head = EnvelopeHeader.model_validate_json(entry.body)
        known = EVENTS.get(head.type)
        if known is None or head.dataschema not in {None, known.schema_urn()}:
            return _unknown(entry, head, clock)
        envelope = adapter(known).validate_json(entry.body)
    except (ValidationError, RecursionError):
        return IgnoredEntry(entry.offset, "unreadable")
    # Only a speaker may write to its exchange, so an event from another one is forged or misdirected.
    if entry.exchange != events(known.SAID_BY) or envelope.sender != known.SAID_BY:
        claims = (text(entry.exchange), known.TYPE, envelope.source, envelope.commande_id)
        return IgnoredEntry(entry.offset, "untrusted", *claims, clock.of(None))
    return _trusted(entry, known, envelope, clock)


def _unknown(entry: HistoryEntry, head: EnvelopeHeader, clock: EntryClock) -> IgnoredEntry:
    partial = parse_partial(entry.body)
    time = time_of(partial.time) or utc(entry.timestamp)
    commande_id = partial.data.commande_id if partial.data else ""
    claims = (text(entry.exchange), head.type, text(partial.source), commande_id)
    return IgnoredEntry(entry.offset, UNKNOWN, *claims, clock.of(time), time)


def _trusted(entry: HistoryEntry, known: type[Event], envelope: Envelope[Any], clock: EntryClock) -> EventEntry:
    time = utc(envelope.time) or utc(entry.timestamp)
    ahead = max(dt.timedelta(), time - clock.now) if time else dt.timedelta()
    if ahead > LONGEST_UNANSWERED:
        # Such a time is useless; our own clock replaces it.
        time = None
    data = vars(envelope.data)
    heard = HeardEvent(
        id=envelope.id,
        type=known.TYPE,
        service=known.SAID_BY,
        time=time,
        causationid=envelope.causationid,
        modele=data.get("modele"),
        nothing=known.TYPE in CHOREOGRAPHY.undoing_types and _held_nothing(data),
        offset=entry.offset,
        source=envelope.source,
    )
    return EventEntry(
        offset=entry.offset,
        commande_id=envelope.commande_id,
        heard=heard,
        source=envelope.source,
        raison=data.get("raison"),
        at=clock.of(time),
        ahead=ahead,
        named=tuple(str(data[name]) for name in CHOREOGRAPHY.searched if data.get(name)),
    )


def _held_nothing(data: Mapping[str, object]) -> bool:
    """Whether the answer to an undoing says that nothing was undone."""
    named = {name: value for name, value in data.items() if name.endswith("_id") and name != "commande_id"}
    return bool(named) and not any(named.values())


def _retried(entry: HistoryEntry, service: str, clock: EntryClock) -> Retry:
    partial = parse_partial(entry.body)
    attempt = entry.headers.get(ATTEMPT_HEADER)
    return Retry(
        offset=entry.offset,
        commande_id=partial.data.commande_id if partial.data else None,
        service=service,
        event_id=partial.id,
        attempt=attempt if isinstance(attempt, int) and 0 < attempt < 1_000_000 else 1,
        at=clock.of(utc(entry.timestamp)),
        next=time_of(entry.headers.get(NEXT_HEADER)),
        detail=text(entry.headers.get(DETAIL_HEADER)),
        source=text(partial.source),
    )


def _dead(entry: HistoryEntry, service: str, clock: EntryClock) -> DeadLetter:
    partial = parse_partial(entry.body)
    return DeadLetter(
        offset=entry.offset,
        commande_id=partial.data.commande_id if partial.data else None,
        service=service,
        event_id=partial.id,
        type=partial.type,
        reason=_reason(entry.headers),
        detail=text(entry.headers.get(DETAIL_HEADER)),
        at=clock.of(utc(entry.timestamp)),
        source=text(partial.source),
        copy=copy_of(entry),
    )


def _reason(headers: Mapping[str, object]) -> str:
    if any(header in headers for header in _BROKERS_OWN):
        # Services remove these headers from everything that they publish, so the broker added them.
        return text(headers.get("x-first-death-reason")) or _CRASH_LOOP
    return text(headers.get(REASON_HEADER)) or _CRASH_LOOP
