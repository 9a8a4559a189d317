"""Records each trial of a suspicious delivery before it begins, for the worker after a crash."""

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from choregraphie.service.column_types import Instant
from choregraphie.storage.inbox import METADATA, EventIdentity
from choregraphie.storage.statements import Lookup, Prepared

TRIALS = Table(
    "trials",
    METADATA,
    # SQLite only numbers a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, index=True),
    # Empty in the rows of a version that did not keep it.
    Column("source", Text, nullable=False, server_default=""),
    Column("begun_at", Instant, nullable=False, index=True),
)

_NAME = (TRIALS.c.source, TRIALS.c.event_id)
_LAST = Lookup(select(*_NAME, func.max(TRIALS.c.number)).group_by(*_NAME), TRIALS.c.event_id)
_BEGIN = Prepared(insert(TRIALS).inline(), ["source", "event_id", "begun_at"])
_OLD = select(TRIALS.c.number).where(TRIALS.c.begun_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(TRIALS).where(TRIALS.c.number.in_(_OLD)), ["before", "most"])


def last(connection: Connection, events: Iterable[EventIdentity]) -> dict[EventIdentity, int]:
    """The number of the last trial of each of `events`; those never tried are left out."""
    rows = _LAST.rows(connection, sorted({event.id for event in events}))
    return {EventIdentity(source, event_id): number for source, event_id, number in rows}


def begin(connection: Connection, event: EventIdentity, now: dt.datetime) -> None:
    _BEGIN.run(connection, event.source, event.id, now)


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` trials begun before that instant; how many."""
    return _PURGE.run(connection, before, most)
