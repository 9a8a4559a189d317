"""Poison deliveries: chooses which suspect to try alone, and records each trial before it begins.

A delivery that ends the worker's process leaves nothing but its trial. The worker that starts next finds it there,
and tries the other suspects first.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

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
from choregraphie.storage.invocation import Invocation
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


def choose(
    connection: Connection, suspects: Sequence[Invocation], now: dt.datetime, *, untried: bool
) -> Invocation | None:
    """A suspect that was never tried, else the one whose last trial is the oldest; its trial is recorded.

    With `untried`, None when each of them has been tried.
    """
    chosen = _first_untried(connection, suspects) if untried else _longest_ago(connection, suspects)
    if chosen is not None:
        _BEGIN.run(connection, chosen.identity.source, chosen.identity.id, now)
    return chosen


def _first_untried(connection: Connection, suspects: Sequence[Invocation]) -> Invocation | None:
    # Nearly always one of the first: to look at all of the hundreds that a worker may hold takes milliseconds.
    start = 0
    while start < len(suspects):
        some = suspects[start : max(1, 2 * start)]
        tried = _last_trials(connection, (suspect.identity for suspect in some))
        for suspect in some:
            if suspect.identity not in tried:
                return suspect
        start += len(some)
    return None


def _longest_ago(connection: Connection, suspects: Sequence[Invocation]) -> Invocation:
    last_trials = _last_trials(connection, (suspect.identity for suspect in suspects))
    return min(suspects, key=lambda suspect: last_trials.get(suspect.identity, 0))


def _last_trials(connection: Connection, events: Iterable[EventIdentity]) -> dict[EventIdentity, int]:
    """The number of the last trial of each of `events`; those never tried are left out."""
    rows = _LAST.rows(connection, sorted({event.id for event in events}))
    return {EventIdentity(source, event_id): number for source, event_id, number in rows}


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Delete up to `most` trials begun before that instant; returns how many."""
    return _PURGE.run(connection, before, most)
