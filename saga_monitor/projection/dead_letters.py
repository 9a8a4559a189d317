"""Dead letters one by one, with a bounded copy of bytes and headers, and what else was heard of a key.

A key may be known from dead letters alone, or from events that nobody acts on: then it has no order.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import moment
from saga_monitor.projection.unknown_events import Unknown, unknown_of
from saga_monitor.records.parser import DeadEntry, Record

# Anybody may send bad messages for ever: the newest are kept, and the stream has all of them.
COPIES_KEPT = 5_000
# What a page lists of one key.
MOST_LISTED = 100

_LETTER = (
    'SELECT dead_letters."offset", commande_id, service, event_id, type, reason, detail, at,'
    ' body, size, headers, routing_key FROM dead_letters LEFT JOIN copies USING ("offset")'
)
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `body`: its first bytes, None when no copy is kept; `size`: how many bytes it has in all."""

    offset: int
    commande_id: str | None
    service: str
    event_id: str | None
    type: str | None
    reason: str
    detail: str
    at: dt.datetime
    body: bytes | None
    size: int
    headers: Mapping[str, Any]
    routing_key: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that came by an exchange which is not its sender's: nobody acts on it."""

    exchange: str
    type: str
    source: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Mentions:
    """What was heard of a key beside the events of an order: at most `MOST_LISTED` of each, the newest first."""

    letters: Sequence[Letter]
    unknown: Sequence[Unknown]
    refused: Sequence[Refused]
    retries: int

    def __bool__(self) -> bool:
        return bool(self.letters or self.unknown or self.refused or self.retries)


def keep_copies(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Keep the bytes and headers of the dead letters among `records`, within the caller's transaction."""
    dead = [r for r in records if isinstance(r, DeadEntry) and r.message is not None][-COPIES_KEPT:]
    if not dead:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO copies VALUES (?, ?, ?, ?, ?)",
        [
            (d.offset, d.message.start, d.message.size, json.dumps(d.message.headers), d.message.routing_key)
            for d in dead
            if d.message is not None
        ],
    )
    connection.execute(
        'DELETE FROM copies WHERE "offset" <= (SELECT "offset" FROM copies ORDER BY "offset" DESC'
        " LIMIT 1 OFFSET ?)",
        (COPIES_KEPT,),
    )


def letter_at(queries: Queries, offset: int) -> Letter | None:
    """The dead letter at that offset of the stream, or None."""
    return next(iter(_letters(queries, 'WHERE dead_letters."offset" = ?', offset)), None)


def letters_of(queries: Queries, commande_id: str) -> list[Letter]:
    """The newest dead letters about that key."""
    clause = 'WHERE commande_id = ? ORDER BY dead_letters."offset" DESC LIMIT ?'
    return _letters(queries, clause, commande_id, MOST_LISTED)


def mentions(queries: Queries, commande_id: str) -> Mentions:
    """What was heard of that key beside the events of an order."""
    refused = queries.ask(
        'SELECT exchange, type, source, at FROM strangers WHERE commande_id = ? ORDER BY "offset" DESC LIMIT ?',
        commande_id,
        MOST_LISTED,
    )
    ((retries,),) = queries.ask("SELECT count(*) FROM retries WHERE commande_id = ?", commande_id)
    return Mentions(
        letters_of(queries, commande_id),
        unknown_of(queries, commande_id)[-MOST_LISTED:][::-1],
        [Refused(exchange, type_, source, moment(at) or _EPOCH) for exchange, type_, source, at in refused],
        int(retries),
    )


def forget_copies(connection: sqlite3.Connection) -> None:
    """Forget the copies whose letters are forgotten, within the caller's transaction."""
    connection.execute('DELETE FROM copies WHERE "offset" NOT IN (SELECT "offset" FROM dead_letters)')


def _letters(queries: Queries, clause: str, *values: object) -> list[Letter]:
    return [_letter(row) for row in queries.ask(f"{_LETTER} {clause}", *values)]


def _letter(row: tuple[Any, ...]) -> Letter:
    offset, key, service, event_id, type_, reason, detail, at, body, size, headers, routing_key = row
    return Letter(
        *(offset, key, service, event_id, type_, reason, detail, moment(at) or _EPOCH),
        body=body,
        size=size or 0,
        headers=json.loads(headers or "{}"),
        routing_key=routing_key or "",
    )
