"""Records signs of trouble beside orders: foreign speakers, clock differences, when each service last spoke."""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from saga_monitor.analysis.causation import may_answer
from saga_monitor.analysis.clocks import CLIENT, MONITOR, SKEW_MS, differing
from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.projection.schema import instant
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record

# A client's event arrives within this time, or the client's clock is behind.
LONGEST_UNDERWAY = dt.timedelta(minutes=1)
# Foreign events may arrive without end; the newest are enough to find the sender.
STRANGERS_KEPT = 1000


def keep(
    connection: sqlite3.Connection, records: Sequence[Record], known: Mapping[str, Sequence[HeardEvent]]
) -> None:
    """Saves the signs in `records`, within the caller's transaction. `known`: the events of their orders."""
    said = [record for record in records if isinstance(record, EventEntry)]
    _keep_strangers(connection, [r for r in records if isinstance(r, IgnoredEntry) and r.why == "untrusted"])
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


def _skews(said: Iterable[EventEntry], known: Mapping[str, Sequence[HeardEvent]]) -> Iterator[tuple[object, ...]]:
    for record in said:
        events = known.get(record.commande_id, ())
        found = [*_against_ours(record, events)]
        for other in events:
            # Either may arrive first, because a retry or a redrive delays events.
            if _causes(other, record.heard):
                found += differing(other, record.heard)
            if _causes(record.heard, other):
                found += differing(record.heard, other)
        for ahead, behind, ms in found:
            yield ahead, behind, ms, record.commande_id, instant(record.at)


def _against_ours(record: EventEntry, known: Sequence[HeardEvent]) -> Iterator[tuple[str, str, int]]:
    heard = record.heard
    late = record.at - heard.time if heard.time else dt.timedelta()
    if (ms := _ms(record.ahead)) > SKEW_MS:
        yield heard.service, MONITOR, ms
    # A service's events wait in its outbox while the broker is away, and a client may repeat an event: neither
    # is a clock's fault.
    elif heard.service == CLIENT and late > LONGEST_UNDERWAY and not _said_before(record, known):
        yield MONITOR, heard.service, _ms(late)


def _causes(cause: HeardEvent, effect: HeardEvent) -> bool:
    return effect.causationid == cause.id and may_answer(effect.type, cause.type)


def _said_before(record: EventEntry, known: Sequence[HeardEvent]) -> bool:
    return any(other.identity == record.heard.identity and other.offset < record.offset for other in known)


def _ms(time: dt.timedelta) -> int:
    return int(time.total_seconds() * 1000)
