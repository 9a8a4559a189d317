"""Rebuilds the projection as it was at an earlier time, in a temporary file.

An event's own time decides whether it is included. An event without a time, or with a clock that its order shows
to be wrong, counts as said after its predecessor in the stream. Ignored entries have no time and are not counted,
and pruned orders are missing.
"""

import datetime as dt
import heapq
import itertools
import operator
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from saga_monitor.analysis.clocks import wrong_clocks
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.projection.messages import DEAD_LETTER, RETRY, dead_letter_of, retry_of
from saga_monitor.projection.schema import connect, instant, moment, refused
from saga_monitor.projection.search import values_in
from saga_monitor.projection.store import Mark, Store
from saga_monitor.records.parser import EventEntry, Record

_BATCH = 5000
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@contextmanager
def projection_at(database: Path, at: dt.datetime) -> Iterator[Path]:
    """A projection of what `database` knows that was said up to `at`. It is deleted at the end of the block.

    Raises DatabaseRefused when either cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="choregraphie-") as folder:
        path = Path(folder) / "past.sqlite3"
        with closing(Store(path)) as store, closing(connect(database)) as connection:
            records = _records(connection, at)
            try:
                while batch := list(itertools.islice(records, _BATCH)):
                    store.apply(batch, Mark(batch[0].offset, b""), Mark(batch[-1].offset, b""))
            except sqlite3.Error as error:
                raise refused(database, error) from error
        yield path


def _records(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    tables = (_said(connection, at), _retries(connection, at), _dead_letters(connection, at))
    return heapq.merge(*tables, key=lambda record: record.offset)


def _said(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    found = connection.execute(
        "SELECT commande_id, id, type, service, source, time, causationid, modele, undid_nothing, raison,"
        ' "offset", (SELECT text FROM search WHERE search.rowid = number), number'
        ' FROM said JOIN orders USING (number) ORDER BY "offset"'
    )
    wrong, before = _wrong_clocks(connection), _LONG_AGO
    for id_, event_id, type_, service, source, time, cause, modele, nothing, raison, offset, text, number in found:
        if service not in wrong.get(number, ()):
            before = moment(time) or before
        if before <= at:
            heard = HeardEvent(
                event_id, type_, service, moment(time), cause, modele, bool(nothing), offset, source
            )
            # Searched values are not kept per event, so the past has all values known now.
            yield EventEntry(offset, id_, heard, source, raison, before, named=values_in(text or ""))


def _wrong_clocks(connection: sqlite3.Connection) -> dict[int, frozenset[str]]:
    """The speakers whose clocks an order's events show to be wrong, by its number; of orders that lack a time."""
    found = connection.execute(
        'SELECT number, id, type, service, time, causationid, "offset", source'
        " FROM said JOIN orders USING (number) WHERE instr(steps, 'true') > 0 ORDER BY number"
    )
    wrong = {}
    for number, rows in itertools.groupby(found, key=operator.itemgetter(0)):
        heard = EventsOfSaga(
            HeardEvent(id_, type_, service, moment(time), cause, offset=offset, source=source)
            for _, id_, type_, service, time, cause, offset, source in rows
        )
        wrong[number] = wrong_clocks(heard)
    return wrong


def _retries(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    question = f'SELECT {RETRY} FROM retries WHERE at <= ? ORDER BY "offset"'  # noqa: S608 - constants
    return map(retry_of, connection.execute(question, (instant(at),)))


def _dead_letters(connection: sqlite3.Connection, at: dt.datetime) -> Iterator[Record]:
    question = f'SELECT {DEAD_LETTER} FROM dead_letters WHERE at <= ? ORDER BY "offset"'  # noqa: S608 - constants
    return map(dead_letter_of, connection.execute(question, (instant(at),)))
