"""Keeps what tells of trouble beside the orders: strangers' words, clocks that differ, who was heard when."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from saga_monitor.books.schema import instant
from saga_monitor.judging.hearing import Heard
from saga_monitor.reading.entries import IgnoredEntry, Record, SaidEntry

# An event before its cause by less than this may be two clocks' ordinary disagreement.
SKEW_MS = 1000
# Anybody may write rubbish for ever; the newest is enough to find out who.
STRANGERS_KEPT = 1000


def keep(connection: sqlite3.Connection, records: Sequence[Record], known: Mapping[str, Sequence[Heard]]) -> None:
    """Take `records` in, within the caller's transaction; `known`: the events of the orders they touch."""
    said = [record for record in records if isinstance(record, SaidEntry)]
    _keep_strangers(connection, [r for r in records if isinstance(r, IgnoredEntry) and r.exchange is not None])
    connection.executemany(
        "INSERT INTO skews VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET"
        " worst_ms = max(worst_ms, excluded.worst_ms), count = count + 1,"
        " commande_id = excluded.commande_id, at = max(at, excluded.at)",
        list(_skews(said, known)),
    )
    last = {record.heard.service: record for record in said}
    connection.executemany(
        "INSERT OR REPLACE INTO voices VALUES (?, ?, ?)",
        [(service, record.offset, instant(record.at)) for service, record in last.items()],
    )


def _keep_strangers(connection: sqlite3.Connection, strangers: Sequence[IgnoredEntry]) -> None:
    if not strangers:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO strangers VALUES (?, ?, ?, ?, ?, ?)",
        [(s.offset, s.exchange, s.type, s.source, s.commande_id, instant(s.at)) for s in strangers],
    )
    connection.execute(
        'DELETE FROM strangers WHERE "offset" <= (SELECT "offset" FROM strangers ORDER BY "offset" DESC'
        " LIMIT 1 OFFSET ?)",
        (STRANGERS_KEPT,),
    )


def _skews(said: Iterable[SaidEntry], known: Mapping[str, Sequence[Heard]]) -> Iterator[tuple[object, ...]]:
    for record in said:
        event, events = record.heard, known.get(record.commande_id, ())
        # Either may come first: a retry or a redrive makes an effect overtake another order's cause.
        pairs = [(other, event) for other in events if other.id == event.causationid]
        pairs += [(event, other) for other in events if other.causationid == event.id]
        for cause, effect in pairs:
            if cause.time and effect.time and cause.service != effect.service:
                ms = int((cause.time - effect.time).total_seconds() * 1000)
                if ms > SKEW_MS:
                    yield cause.service, effect.service, ms, record.commande_id, instant(record.at)
