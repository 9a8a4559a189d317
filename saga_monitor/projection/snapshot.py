"""Rebuilds the projection as it was at an earlier time, in a temporary file.

An event's own time decides whether it is included. An event without a time, or with a clock that its instance
shows to be wrong, counts as said after its predecessor in the stream. Ignored entries have no time and are not
counted, and pruned instances are missing.
"""

import datetime as dt
import heapq
import itertools
import operator
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.clocks import wrong_clocks
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.projection.messages import ACT, DEAD_LETTER, RETRY, act_of, dead_letter_of, retry_of
from saga_monitor.projection.schema import connect, instant, moment, refused
from saga_monitor.projection.search import values_in
from saga_monitor.projection.store import Mark, Store
from saga_monitor.records.parser import EventEntry, Record

_BATCH = 5000
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@contextmanager
def projection_at(database: Path, at: dt.datetime, sagas: SagaSet) -> Iterator[Path]:
    """A projection of what `database` knows that was said up to `at`. It is deleted at the end of the block.

    Raises DatabaseRefused when either cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="choregraphie-") as folder:
        path = Path(folder) / "past.sqlite3"
        with closing(Store(path, sagas)) as store, closing(connect(database)) as connection:
            records = _records(connection, at, sagas)
            try:
                while batch := list(itertools.islice(records, _BATCH)):
                    store.apply(batch, Mark(batch[0].offset, b""), Mark(batch[-1].offset, b""))
            except sqlite3.Error as error:
                raise refused(database, error) from error
        yield path


def _records(connection: sqlite3.Connection, at: dt.datetime, sagas: SagaSet) -> Iterator[Record]:
    tables = (
        _said(connection, at, sagas),
        _retries(connection, at),
        _dead_letters(connection, at),
        _acts(connection, at),
    )
    declared = (None, *sagas.by_name)
    return (record for record in heapq.merge(*tables, key=lambda one: one.offset) if record.saga in declared)


def _said(connection: sqlite3.Connection, at: dt.datetime, sagas: SagaSet) -> Iterator[Record]:
    found = connection.execute(
        "SELECT saga, key, id, type, service, source, time, causationid, decides, undid_nothing, reason,"
        ' "offset", (SELECT text FROM search WHERE search.rowid = number), number'
        ' FROM said JOIN instances USING (number) ORDER BY "offset"'
    )
    wrong, before = _wrong_clocks(connection, sagas), _LONG_AGO
    for (
        saga,
        key,
        id_,
        type_,
        service,
        source,
        time,
        cause,
        decides,
        nothing,
        reason,
        offset,
        text,
        number,
    ) in found:
        if service not in wrong.get(number, ()):
            before = moment(time) or before
        if before <= at:
            heard = HeardEvent(id_, type_, service, moment(time), cause, decides, bool(nothing), offset, source)
            # Searched values are not kept per event, so the past has all values known now.
            yield EventEntry(offset, saga, key, heard, source, reason, before, named=values_in(text or ""))


def _wrong_clocks(connection: sqlite3.Connection, sagas: SagaSet) -> dict[int, frozenset[str]]:
    """The speakers whose clocks an instance's events show to be wrong, by its number; if it lacks a time."""
    found = connection.execute(
        'SELECT saga, number, id, type, service, time, causationid, "offset", source'
        " FROM said JOIN instances USING (number) WHERE instr(steps, 'true') > 0 ORDER BY number"
    )
    wrong = {}
    for (saga, number), rows in itertools.groupby(found, key=operator.itemgetter(0, 1)):
        heard = [
            HeardEvent(id_, type_, service, moment(time), cause, offset=offset, source=source)
            for _, _, id_, type_, service, time, cause, offset, source in rows
        ]
        if saga in sagas.by_name:
            wrong[number] = wrong_clocks(EventsOfSaga(sagas.by_name[saga], heard))
    return wrong


def _retries(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    question = f'SELECT {RETRY} FROM retries WHERE at <= ? ORDER BY "offset"'  # noqa: S608 - constants
    return map(retry_of, connection.execute(question, (instant(at),)))


def _dead_letters(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    question = f'SELECT {DEAD_LETTER} FROM dead_letters WHERE at <= ? ORDER BY "offset"'  # noqa: S608 - constants
    # The acts before `at` end them again.
    return (replace(dead_letter_of(row), ended="") for row in connection.execute(question, (instant(at),)))


def _acts(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    question = f'SELECT {ACT} FROM acts WHERE at <= ? ORDER BY "offset"'  # noqa: S608 - constants
    return map(act_of, connection.execute(question, (instant(at),)))
