"""How often a suspicious delivery was tried: written down before each try, for whoever comes after a death."""

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

TRIALS = Table(
    "trials",
    METADATA,
    # SQLite only numbers a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, index=True),
    Column("begun_at", Instant, nullable=False, index=True),
)

_COUNT = (
    select(TRIALS.c.event_id, func.count().label("trials"))
    .where(TRIALS.c.event_id.in_(bindparam("event_ids", expanding=True)))
    .group_by(TRIALS.c.event_id)
)
_BEGIN = insert(TRIALS)


def counts(connection: Connection, event_ids: Iterable[str]) -> dict[str, int]:
    """How many trials each of `event_ids` has had; those without any are left out."""
    found = connection.execute(_COUNT, {"event_ids": sorted(set(event_ids))})
    return {row.event_id: row.trials for row in found}


def begin(connection: Connection, event_id: str, now: dt.datetime) -> None:
    connection.execute(_BEGIN, {"event_id": event_id, "begun_at": now})


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` trials begun before that instant; how many."""
    old = select(TRIALS.c.number).where(TRIALS.c.begun_at < before).limit(most)
    return connection.execute(delete(TRIALS).where(TRIALS.c.number.in_(old))).rowcount
