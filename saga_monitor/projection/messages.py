"""Writes events, retries and dead letters, each once; reads retries and dead letters back."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saga_monitor.analysis.interventions import back_at
from saga_monitor.analysis.messages import Copy, DeadLetter, Retry
from saga_monitor.projection import counters
from saga_monitor.projection.schema import EPOCH, instant, moment
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record

RETRY = 'service, event_id, "offset", source, attempt, at, next, detail, commande_id'
DEAD_LETTER = 'service, event_id, reason, type, "offset", source, detail, at, commande_id'
# The most events kept of one key.
EVENTS_KEPT = 1000
_VALUES = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KEEP_RETRY = f"INSERT OR IGNORE INTO retries ({RETRY}) {_VALUES}"
_KEEP_DEAD_LETTER = f"INSERT OR IGNORE INTO dead_letters ({DEAD_LETTER}) {_VALUES}"


def keep_retries(connection: sqlite3.Connection, retries: Sequence[Retry]) -> Counter[str]:
    """Writes retries, within the caller's transaction. Returns what they add to the totals."""
    rows = [
        (
            *(one.service, one.event_id, one.offset, one.source, one.attempt, instant(one.at)),
            *(instant(back_at(one.next, one.at)) if one.next else None, one.detail, one.commande_id),
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
            *(instant(one.at), one.commande_id),
        )
        for one in letters
    ]
    connection.executemany(_KEEP_DEAD_LETTER, rows)
    counts = Counter({"dead_letters": len(rows)})
    return counts + Counter(f"dead.{counters.bounded(one.reason)}" for one in letters)


def retry_of(row: Sequence[Any]) -> Retry:
    """The retry in a row of the columns `RETRY`."""
    service, event_id, offset, source, attempt, at, next_, detail, commande_id = row
    return Retry(
        *(service, event_id, offset, source, attempt, moment(at) or EPOCH, moment(next_), detail, commande_id)
    )


def dead_letter_of(row: Sequence[Any], copy: Copy | None = None) -> DeadLetter:
    """The dead letter in a row of the columns `DEAD_LETTER`."""
    service, event_id, reason, type_, offset, source, detail, at, commande_id = row
    return DeadLetter(
        *(service, event_id, reason, type_, offset, source, detail, moment(at) or EPOCH, commande_id, copy)
    )


def copy_of(row: Sequence[Any]) -> Copy | None:
    """The copy in a row of the columns body, size, headers, routing_key; None when no copy is kept."""
    body, size, headers, routing_key = row
    return None if body is None else Copy(body, size, json.loads(headers), routing_key)


def keep(connection: sqlite3.Connection, records: Sequence[Record], numbers: Mapping[str, int]) -> Counter[str]:
    """Writes records, within the caller's transaction. Returns what they add to the totals.

    `numbers`: the number of each order, by key.
    """
    counts = Counter(f"ignored.{record.why}" for record in records if isinstance(record, IgnoredEntry))
    counts.update(counters.of_records(records))
    counts.update(_keep_said(connection, [r for r in records if isinstance(r, EventEntry)], numbers))
    counts.update(keep_retries(connection, [r for r in records if isinstance(r, Retry)]))
    counts.update(keep_dead_letters(connection, [r for r in records if isinstance(r, DeadLetter)]))
    return counts


def _keep_said(
    connection: sqlite3.Connection, said: Sequence[EventEntry], numbers: Mapping[str, int]
) -> Counter[str]:
    counts: Counter[str] = Counter()
    kept = _without_excess(connection, said, numbers)
    for type_, records in _by_type(kept):
        before = connection.total_changes
        connection.executemany(
            "INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_event_row(record, numbers[record.commande_id]) for record in records],
        )
        counts[f"said.{type_}"] = connection.total_changes - before
    counts["events"] = counts.total()
    counts["duplicates"] = len(kept) - counts["events"]
    counts["ignored.excess"] = len(said) - len(kept)
    return counts


def _without_excess(
    connection: sqlite3.Connection, said: Sequence[EventEntry], numbers: Mapping[str, int]
) -> Sequence[EventEntry]:
    """The events to keep: of a key that has `EVENTS_KEPT`, only those of a type that it does not have yet.

    A healthy order has about a dozen events, but a client may send events of one key without end, and every
    evaluation reads all that are kept. The first event of each type decides where the order stands.
    """
    rows = connection.execute(
        "SELECT number, group_concat(DISTINCT type) FROM said WHERE number IN (SELECT value FROM json_each(?))"
        " GROUP BY number HAVING count(*) >= ?",
        (json.dumps([numbers[record.commande_id] for record in said]), EVENTS_KEPT),
    )
    full = {number: set(types.split(",")) for number, types in rows}
    return [one for one in said if one.heard.type not in full.get(numbers[one.commande_id], ())] if full else said


def _by_type(said: Iterable[EventEntry]) -> Iterable[tuple[str, list[EventEntry]]]:
    groups: dict[str, list[EventEntry]] = {}
    for record in said:
        groups.setdefault(record.heard.type, []).append(record)
    return groups.items()


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
        heard.modele,
        heard.nothing,
        record.raison,
        record.offset,
    )
