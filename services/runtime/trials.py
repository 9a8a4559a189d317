"""When a suspicious delivery was tried: written down before each try, for whoever comes after a death."""

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

from services.runtime.columns import Instant
from services.runtime.inbox import METADATA
from services.runtime.statements import Lookup, Prepared

TRIALS = Table(
    "trials",
    METADATA,
    # SQLite only numbers a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, index=True),
    Column("begun_at", Instant, nullable=False, index=True),
)

_LAST = Lookup(select(TRIALS.c.event_id, func.max(TRIALS.c.number)).group_by(TRIALS.c.event_id), TRIALS.c.event_id)
_BEGIN = Prepared(insert(TRIALS).inline(), ["event_id", "begun_at"])
_OLD = select(TRIALS.c.number).where(TRIALS.c.begun_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(TRIALS).where(TRIALS.c.number.in_(_OLD)), ["before", "most"])


def last(connection: Connection, event_ids: Iterable[str]) -> dict[str, int]:
    """The number of the last trial of each of `event_ids`; those never tried are left out."""
    return dict(_LAST.rows(connection, sorted(set(event_ids))))


def begin(connection: Connection, event_id: str, now: dt.datetime) -> None:
    _BEGIN.run(connection, event_id, now)


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` trials begun before that instant; how many."""
    return _PURGE.run(connection, before, most)
