"""Writes events, retries, dead letters and acts of operators, each once, and reads their rows."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.analysis.interventions import back_at
from saga_monitor.analysis.messages import Copy, DeadLetter, Hold, OperatorAct, Retry
from saga_monitor.projection import counters, holds
from saga_monitor.projection.schema import EPOCH, instant, moment
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record

HEARD = 'id, type, service, time, causationid, decides, undid_nothing, said."offset", source'
RETRY = 'service, event_id, "offset", source, attempt, at, next, detail, saga, key'
DEAD_LETTER = 'service, event_id, reason, type, "offset", source, detail, at, saga, key, letter, ended'
ACT = 'act, letter, "by", because, service, "offset", at, ends, saga, key'
# The most events kept of one key.
EVENTS_KEPT = 1000
_VALUES = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KEEP_RETRY = f"INSERT OR IGNORE INTO retries ({RETRY}) {_VALUES}"
_KEEP_DEAD_LETTER = (
    f"INSERT OR IGNORE INTO dead_letters ({DEAD_LETTER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
)
_KEEP_ACT = f"INSERT OR IGNORE INTO acts ({ACT}) {_VALUES}"
# A letter that is set aside again after an act may have the same id.
_END_LETTER = "UPDATE dead_letters SET ended = ? WHERE letter = ? AND \"offset\" < ? AND ended = ''"


def keep_retries(connection: sqlite3.Connection, retries: Sequence[Retry]) -> Counter[str]:
    """Writes retries, within the caller's transaction. Returns what they add to the totals."""
    rows = [
        (
            *(one.service, one.event_id, one.offset, one.source, one.attempt, instant(one.at)),
            *(instant(back_at(one.next, one.at)) if one.next else None, one.detail),
            *(one.saga, one.key),
        )
        for one in retries
    ]
    connection.executemany(_KEEP_RETRY, rows)
    return Counter({"retries": len(rows)})


def keep_dead_letters(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> Counter[str]:
    """Writes dead letters without copies, within the caller's transaction. Returns what they add to the totals."""
    rows = [
        (
            *(one.service, one.event_id, one.reason, one.type, one.offset, one.source, one.detail),
            *(instant(one.at), one.saga, one.key, one.letter, one.ended),
        )
        for one in letters
    ]
    connection.executemany(_KEEP_DEAD_LETTER, rows)
    counts = Counter({"dead_letters": len(rows)})
    return counts + Counter(f"dead.{counters.bounded(one.reason)}" for one in letters)


def heard_of(row: Sequence[Any]) -> HeardEvent:
    """The event in a row of the columns `HEARD` of the table `said`."""
    id_, type_, service, time, cause, decides, nothing, offset, source = row
    return HeardEvent(id_, type_, service, moment(time), cause, decides, bool(nothing), offset, source)


def retry_of(row: Sequence[Any]) -> Retry:
    """The retry in a row of the columns `RETRY`."""
    service, event_id, offset, source, attempt, at, next_, detail, saga, key = row
    return Retry(
        *(service, event_id, offset, source, attempt, moment(at) or EPOCH, moment(next_), detail, saga, key)
    )


def dead_letter_of(row: Sequence[Any], copy: Copy | None = None) -> DeadLetter:
    """The dead letter in a row of the columns `DEAD_LETTER`."""
    service, event_id, reason, type_, offset, source, detail, at, saga, key, letter, ended = row
    return DeadLetter(
        *(service, event_id, reason, type_, offset, source, detail, moment(at) or EPOCH, saga, key, copy),
        letter=letter,
        ended=ended,
    )


def keep_acts(connection: sqlite3.Connection, acts: Sequence[OperatorAct]) -> None:
    """Writes acts of operators, and ends the letters that they are about, within the caller's transaction."""
    rows = [
        (
            *(one.act, one.letter, one.by, one.because, one.service, one.offset, instant(one.at)),
            *(one.ends, one.saga, one.key),
        )
        for one in acts
    ]
    connection.executemany(_KEEP_ACT, rows)
    connection.executemany(_END_LETTER, [(one.words, one.letter, one.offset) for one in acts if one.ends])


def act_of(row: Sequence[Any]) -> OperatorAct:
    """The act in a row of the columns `ACT`."""
    act, letter, by, because, service, offset, at, ends, saga, key = row
    return OperatorAct(act, letter, by, because, service, offset, moment(at) or EPOCH, bool(ends), saga, key)


def copy_of(row: Sequence[Any]) -> Copy | None:
    """The copy in a row of the columns body, size, headers, routing_key; None when no copy is kept."""
    body, size, headers, routing_key = row
    return None if body is None else Copy(body, size, json.loads(headers), routing_key)


def keep_retries_and_letters(connection: sqlite3.Connection, records: Sequence[Record]) -> counters.SagaCounts:
    """Writes the records that are no events, within the caller's transaction.

    Returns what they add to the totals; ignored entries are only counted.
    """
    counts: counters.SagaCounts = Counter()
    of_sagas: dict[str | None, list[Record]] = {}
    for record in records:
        if not isinstance(record, EventEntry):
            of_sagas.setdefault(record.saga, []).append(record)
    for saga, mine in of_sagas.items():
        found = Counter(f"ignored.{record.why}" for record in mine if isinstance(record, IgnoredEntry))
        found.update(counters.of_records(mine))
        found.update(keep_retries(connection, [r for r in mine if isinstance(r, Retry)]))
        found.update(keep_dead_letters(connection, [r for r in mine if isinstance(r, DeadLetter)]))
        holds.keep(connection, [r for r in mine if isinstance(r, Hold)])
        keep_acts(connection, [r for r in mine if isinstance(r, OperatorAct)])
        counts.update(counters.of_saga(saga, found))
    return counts


def keep_events(connection: sqlite3.Connection, events: Iterable[tuple[int, EventEntry]]) -> None:
    """Writes events that the file does not have, each with the number of its instance.

    Runs within the caller's transaction.
    """
    rows = [_event_row(record, number) for number, record in events]
    connection.executemany("INSERT INTO said VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def new_events(said: Sequence[EventEntry], known: Sequence[HeardEvent]) -> tuple[list[EventEntry], Counter[str]]:
    """Those of an instance's events `said` that are to be kept beside the `known`, and what all add to the totals.

    Of an instance that has `EVENTS_KEPT` events, only those of a type that it does not have yet: a healthy one has
    about a dozen events, but a client may send events of one key without end, and every evaluation reads all that
    are kept. The first event of each type decides where the instance stands.
    """
    full = {event.type for event in known} if len(known) >= EVENTS_KEPT else ()
    seen = {(event.identity, event.type) for event in known}
    kept, counts = [], Counter[str]()
    for record in said:
        type_, which = record.heard.type, (record.heard.identity, record.heard.type)
        if type_ in full:
            counts["ignored.excess"] += 1
        elif which in seen:
            counts["duplicates"] += 1
        else:
            seen.add(which)
            kept.append(record)
            counts[f"said.{type_}"] += 1
    counts["events"] = len(kept)
    return kept, counts


def _event_row(record: EventEntry, number: int) -> tuple[object, ...]:
    heard = record.heard
    return (
        number,
        heard.id,
        heard.type,
        heard.service,
        record.source,
        instant(heard.time),
        heard.causationid,
        heard.decides,
        heard.nothing,
        record.reason,
        record.offset,
    )
