"""Records signs of trouble beside instances: foreign speakers, clock differences, when each service last spoke."""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.clocks import CLIENT, MONITOR, SKEW, SKEW_MS, differing
from saga_monitor.analysis.events_of_saga import HeardEvent
from saga_monitor.projection.schema import instant
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record
from saga_monitor.records.signatures import UNSIGNED

# A client's event arrives within this time, or the client's clock is behind.
LONGEST_UNDERWAY = dt.timedelta(minutes=1)
# Untrusted events may arrive without end; the newest are enough to find the sender.
UNTRUSTED_KEPT = 1000


def keep(
    connection: sqlite3.Connection,
    sagas: SagaSet,
    records: Sequence[Record],
    known: Mapping[Instance, Sequence[HeardEvent]],
) -> None:
    """Saves the signs in `records`, within the caller's transaction. `known`: the events of their instances."""
    said = [record for record in records if isinstance(record, EventEntry)]
    _keep_untrusted(
        connection, [r for r in records if isinstance(r, IgnoredEntry) and r.why in {"untrusted", UNSIGNED}]
    )
    connection.executemany(
        "INSERT INTO skews VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " worst_ms = max(worst_ms, excluded.worst_ms), count = count + 1,"
        " saga = excluded.saga, key = excluded.key, at = max(at, excluded.at)",
        list(_skews(sagas, said, known)),
    )
    last = {record.heard.service: record for record in said}
    connection.executemany(
        "INSERT OR REPLACE INTO last_heard VALUES (?, ?, ?)",
        [(service, record.offset, instant(record.at)) for service, record in last.items()],
    )


def _keep_untrusted(connection: sqlite3.Connection, events: Sequence[IgnoredEntry]) -> None:
    if not events:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO untrusted_events VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(s.offset, s.exchange, s.type, s.source, s.saga, s.key, instant(s.at)) for s in events],
    )
    connection.execute(
        'DELETE FROM untrusted_events WHERE "offset" <='
        ' (SELECT "offset" FROM untrusted_events ORDER BY "offset" DESC LIMIT 1 OFFSET ?)',
        (UNTRUSTED_KEPT,),
    )


def _skews(
    sagas: SagaSet, said: Iterable[EventEntry], known: Mapping[Instance, Sequence[HeardEvent]]
) -> Iterator[tuple[object, ...]]:
    for record in said:
        choreography, events = sagas.by_name[record.saga], known.get(record.instance, ())
        found = [*_against_ours(record, events)]
        if not _near(record.heard, events):
            found += _among(choreography, record.heard, events)
        for ahead, behind, ms in found:
            yield ahead, behind, ms, *record.instance, instant(record.at)


def _near(heard: HeardEvent, events: Sequence[HeardEvent]) -> bool:
    """Whether all these events were said so close together that no two clocks can differ: nearly always."""
    if heard.time is None:
        return False
    earliest, latest = heard.time - SKEW, heard.time + SKEW
    return all(event.time is None or earliest <= event.time <= latest for event in events)


def _among(
    choreography: Choreography, heard: HeardEvent, events: Sequence[HeardEvent]
) -> Iterator[tuple[str, str, int]]:
    for other in events:
        # Either may arrive first, because a retry or a redrive delays events.
        if other.id == heard.causationid and choreography.may_answer(heard.type, other.type):
            yield from differing(choreography, other, heard)
        if other.causationid == heard.id and choreography.may_answer(other.type, heard.type):
            yield from differing(choreography, heard, other)


def _against_ours(record: EventEntry, known: Sequence[HeardEvent]) -> Iterator[tuple[str, str, int]]:
    heard = record.heard
    late = record.at - heard.time if heard.time else dt.timedelta()
    if (ms := _ms(record.ahead)) > SKEW_MS:
        yield heard.service, MONITOR, ms
    # A service's events wait in its outbox while the broker is away, and a client may repeat an event: neither
    # is a clock's fault.
    elif heard.service == CLIENT and late > LONGEST_UNDERWAY and not _said_before(record, known):
        yield MONITOR, heard.service, _ms(late)


def _said_before(record: EventEntry, known: Sequence[HeardEvent]) -> bool:
    return any(other.identity == record.heard.identity and other.offset < record.offset for other in known)


def _ms(time: dt.timedelta) -> int:
    return int(time.total_seconds() * 1000)
