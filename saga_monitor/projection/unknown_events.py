"""Keeps events that the choreography does not know: they are not judged, but not lost."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant, moment
from saga_monitor.records.parser import UNKNOWN, IgnoredEntry, Record

# Anybody may make up types for ever; the newest are kept, and the stream has the bytes.
UNKNOWN_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """One event of a type or version that is not in the choreography."""

    type: str
    source: str
    time: dt.datetime | None
    offset: int


def keep_unknown_events(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Take those among `records` in, within the caller's transaction."""
    unknown = [r for r in records if isinstance(r, IgnoredEntry) and r.why == UNKNOWN]
    if not unknown:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO unknown VALUES (?, ?, ?, ?, ?, ?)",
        [
            (one.offset, one.commande_id, one.type, one.source, instant(one.time), instant(one.at))
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
    """Types and speakers of whom at least so many came since then: how many, and when the first of them came."""
    found = queries.ask(
        "SELECT type, source, count(*), min(at) FROM unknown WHERE at >= ? GROUP BY type, source"
        " HAVING count(*) >= ? ORDER BY count(*) DESC LIMIT 10",
        instant(since),
        least,
    )
    return [(type_, source, count, moment(at) or since) for type_, source, count, at in found]


def unknown_events_of(queries: Queries, commande_id: str) -> list[UnknownEvent]:
    """Those about that order, as the stream has them."""
    found = queries.ask(
        'SELECT type, source, time, "offset" FROM unknown WHERE commande_id = ? ORDER BY "offset"', commande_id
    )
    return [UnknownEvent(type_, source, moment(time), offset) for type_, source, time, offset in found]
