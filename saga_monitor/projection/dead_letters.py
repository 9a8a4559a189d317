"""Dead letters with their bytes and headers, and everything else known of a key that is no instance.

A key may be known only from dead letters, retries, or events that no service acts on.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.projection.messages import DEAD_LETTER, copy_of, dead_letter_of
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import MAY_BE_OF_SAGA, moment
from saga_monitor.projection.unknown_events import UnknownEvent, unknown_events_of
from saga_monitor.records.parser import Record

# Bad messages may arrive without end, so only the newest copies are kept; the stream has all.
COPIES_KEPT = 5_000
# The most that a page lists of one key.
MOST_LISTED = 100

_LETTERS = (
    f"SELECT {DEAD_LETTER}, body, size, headers, routing_key"  # noqa: S608 - constants
    ' FROM dead_letters LEFT JOIN copies USING ("offset")'
)
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True, slots=True)
class UntrustedEvent:
    """An event that came by an exchange of another sender, so no service acts on it."""

    exchange: str
    type: str
    source: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Mentions:
    """Everything known of a key besides valid events: at most `MOST_LISTED` of each sort, the newest first."""

    letters: Sequence[DeadLetter]
    unknown: Sequence[UnknownEvent]
    refused: Sequence[UntrustedEvent]
    retries: int

    def __bool__(self) -> bool:
        return bool(self.letters or self.unknown or self.refused or self.retries)


def keep_copies(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Saves the bytes and headers of the dead letters in `records`, within the caller's transaction."""
    dead = [r for r in records if isinstance(r, DeadLetter) and r.copy is not None][-COPIES_KEPT:]
    if not dead:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO copies VALUES (?, ?, ?, ?, ?)",
        [
            (d.offset, d.copy.start, d.copy.size, json.dumps(d.copy.headers), d.copy.routing_key)
            for d in dead
            if d.copy is not None
        ],
    )
    connection.execute(
        'DELETE FROM copies WHERE "offset" <= (SELECT "offset" FROM copies ORDER BY "offset" DESC'
        " LIMIT 1 OFFSET ?)",
        (COPIES_KEPT,),
    )


def letter_at(queries: Queries, offset: int) -> DeadLetter | None:
    """The dead letter at `offset` of the stream, or None."""
    return next(iter(select_letters(queries, 'WHERE "offset" = ?', offset)), None)


def mentions(queries: Queries, key: str, saga: str | None = None) -> Mentions:
    """Everything known of a key besides valid events: in that saga, or in any."""
    refused = queries.ask(
        f"SELECT exchange, type, source, at FROM untrusted_events WHERE key = ?1 AND {MAY_BE_OF_SAGA}"  # noqa: S608
        ' ORDER BY "offset" DESC LIMIT ?3',
        key,
        saga,
        MOST_LISTED,
    )
    ((retries,),) = queries.ask(
        f"SELECT count(*) FROM retries WHERE key = ?1 AND {MAY_BE_OF_SAGA}",  # noqa: S608 - a constant
        key,
        saga,
    )
    clause = f'WHERE key = ?1 AND {MAY_BE_OF_SAGA} ORDER BY "offset" DESC LIMIT ?3'
    return Mentions(
        select_letters(queries, clause, key, saga, MOST_LISTED),
        unknown_events_of(queries, key, saga)[-MOST_LISTED:][::-1],
        [UntrustedEvent(exchange, type_, source, moment(at) or _EPOCH) for exchange, type_, source, at in refused],
        int(retries),
    )


def forget_copies(connection: sqlite3.Connection) -> None:
    """Deletes the copies of deleted dead letters, within the caller's transaction."""
    connection.execute('DELETE FROM copies WHERE "offset" NOT IN (SELECT "offset" FROM dead_letters)')


def select_letters(queries: Queries, clause: str, *values: object) -> list[DeadLetter]:
    """The letters, with their copies, for which the SQL `clause` holds."""
    rows = queries.ask(f"{_LETTERS} {clause}", *values)
    return [dead_letter_of(row[:-4], copy_of(row[-4:])) for row in rows]
