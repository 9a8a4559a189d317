"""Saves events that the choreography does not know. They are not evaluated, but can be seen."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import MAY_BE_OF_SAGA, instant, moment
from saga_monitor.records.parser import UNKNOWN, IgnoredEntry, Record

# Unknown types may arrive without end, so only the newest are kept; the stream has their bytes.
UNKNOWN_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """One event of a type or version that is not in the choreography."""

    type: str
    source: str
    time: dt.datetime | None
    offset: int


def keep_unknown_events(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Saves the unknown events in `records`, within the caller's transaction."""
    unknown = [r for r in records if isinstance(r, IgnoredEntry) and r.why == UNKNOWN]
    if not unknown:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO unknown VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (one.offset, one.saga, one.key, one.type, one.source, instant(one.time), instant(one.at))
            for one in unknown
        ],
    )
    connection.execute(
        'DELETE FROM unknown WHERE "offset" <= (SELECT "offset" FROM unknown ORDER BY "offset" DESC'
        " LIMIT 1 OFFSET ?)",
        (UNKNOWN_KEPT,),
    )


def unknown_events_since(
    queries: Queries, since: dt.datetime, least: int
) -> list[tuple[str, str, int, dt.datetime]]:
    """(type, source, count, first arrival) of unknown events with at least `least` arrivals since `since`."""
    found = queries.ask(
        "SELECT type, source, count(*), min(at) FROM unknown WHERE at >= ? GROUP BY type, source"
        " HAVING count(*) >= ? ORDER BY count(*) DESC LIMIT 10",
        instant(since),
        least,
    )
    return [(type_, source, count, moment(at) or since) for type_, source, count, at in found]


def unknown_events_of(queries: Queries, key: str, saga: str | None = None) -> list[UnknownEvent]:
    """The unknown events of a key, of any saga or of that one, in stream order."""
    found = queries.ask(
        f'SELECT type, source, time, "offset" FROM unknown'  # noqa: S608 - constants
        f' WHERE key = ?1 AND {MAY_BE_OF_SAGA} ORDER BY "offset"',
        key,
        saga,
    )
    return [UnknownEvent(type_, source, moment(time), offset) for type_, source, time, offset in found]
