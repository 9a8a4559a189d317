"""Forgets instances that ended long ago and keys that never began, so that the file stays bounded.

An instance that has not ended stays, however old it is, because a person must look at it. Totals and reports cover
what is kept. A late event of a forgotten instance makes its key known again, as a key without a beginning.

Anybody can send events of keys that were never placed. Such a key is forgotten once its start event can no longer
arrive, unless one of its messages was given up. At most `UNKNOWN_KEPT` of these keys are kept in any case.
"""

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.saga_state import Flag, State, has_beginning
from saga_monitor.projection import counters, dead_letters, durations, search, time_series
from saga_monitor.projection.deltas import add_to_totals, counts_of
from saga_monitor.projection.indexes import UNKNOWN
from saga_monitor.projection.schema import OF_INSTANCES, instant

PAGE = 500
# How many keys without a beginning are kept: enough to find out who sends them.
UNKNOWN_KEPT = 10_000

_COLUMNS = "number, saga, key, state, flags, at_rest, remaining, steps, duration_ms, last_offset, heard"


def forget_ended(connection: sqlite3.Connection, sagas: SagaSet, before: dt.datetime, after: int) -> int | None:
    """Forgets one page of the instances that ended before `before`, within the caller's transaction.

    Pages follow the stream offset of the last entry and begin after `after`. Returns where to continue, or None at
    the end.
    """
    limit = instant(before) or 0
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM instances WHERE last_offset > ? ORDER BY last_offset LIMIT ?",  # noqa: S608 - a constant
        (after, PAGE),
    ).fetchall()
    old = [row for row in found if row[-1] < limit]
    _forget(connection, sagas, [row for row in old if row[5] and not _waits_for_a_person(row)])
    if not old or len(found) < PAGE:
        _forget_the_rest(connection, limit)
        return None
    return int(found[-1][-2])


def forget_never_begun(connection: sqlite3.Connection, sagas: SagaSet, before: dt.datetime) -> bool:
    """Forgets one page of the keys without a beginning last heard before `before`; False when there were none.

    Runs within the caller's transaction. Keys that need a person stay.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM instances INDEXED BY instances_unknown"  # noqa: S608 - constants
        f" WHERE {UNKNOWN} AND urgent = 0 AND heard < ? ORDER BY last_offset LIMIT ?",
        (instant(before), PAGE),
    ).fetchall()
    _forget(connection, sagas, rows)
    return bool(rows)


def bound_unknown(connection: sqlite3.Connection, sagas: SagaSet) -> None:
    """Keeps at most `UNKNOWN_KEPT` keys without a beginning, and counts those that it forgets.

    Runs within the caller's transaction. The oldest go first; those that need a person go last.
    """
    names = [f"state.{state}" for state in State if not has_beginning(state)]
    ((kept,),) = connection.execute(
        "SELECT coalesce(sum(value), 0) FROM counters WHERE name IN (SELECT value FROM json_each(?))",
        (json.dumps(names),),
    )
    if kept <= UNKNOWN_KEPT:
        return
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM instances INDEXED BY instances_unknown WHERE {UNKNOWN}"  # noqa: S608 - constants
        " ORDER BY urgent, last_offset LIMIT ?",
        (kept - UNKNOWN_KEPT,),
    ).fetchall()
    _forget(connection, sagas, rows)
    add_to_totals(connection, Counter((str(row[1]), counters.UNKNOWN_FORGOTTEN) for row in rows))


def _waits_for_a_person(row: Sequence[object]) -> bool:
    """Whether a key without a beginning needs a person. An instance that has ended does not."""
    return not has_beginning(str(row[3])) and Flag.INTERVENTION in json.loads(str(row[4]))


def _forget_the_rest(connection: sqlite3.Connection, before: int) -> None:
    """Forgets what belongs to no instance: old minutes, and retries and dead letters of keys without events."""
    connection.execute("DELETE FROM minutes WHERE minute < ?", (before // time_series.MINUTE_US,))
    for table in ("retries", "dead_letters", "acts"):
        connection.execute(
            f"DELETE FROM {table} WHERE at < ? AND (key IS NULL OR NOT EXISTS"  # noqa: S608
            f" (SELECT 1 FROM instances WHERE instances.key = {table}.key AND instances.saga = {table}.saga))",
            (before,),
        )
    dead_letters.forget_copies(connection)


def _forget(connection: sqlite3.Connection, sagas: SagaSet, rows: Sequence[tuple[Any, ...]]) -> None:
    """Forgets these instances and subtracts what they count for."""
    if not rows:
        return
    numbers = json.dumps([number for number, *_ in rows])
    among = json.dumps([(saga, key) for _, saga, key, *_ in rows])
    counts, took = _related_counts(connection, among), Counter[durations.DurationKey]()
    for _, saga, _, state, flags, at_rest, remaining, steps, duration_ms, *_ in rows:
        counted = Counter(counts_of(state, flags, bool(at_rest), remaining))
        counted.update(counters.left_out(json.loads(steps), state, duration_ms))
        if saga in sagas.by_name and has_beginning(state):
            turn = counters.awaited_steps(sagas.by_name[saga], bool(at_rest), json.loads(remaining))
            counted.update(f"at_step.{step}" for step in turn)
        counts.update(counters.of_saga(saga, counted))
        took.subtract(durations.contribution(saga, json.loads(steps), duration_ms))
    add_to_totals(connection, Counter({name: -value for name, value in counts.items()}))
    durations.keep(connection, took)
    for table in ("said", "instances"):
        connection.execute(f"DELETE FROM {table} WHERE number IN (SELECT value FROM json_each(?))", (numbers,))  # noqa: S608
    search.forget(connection, json.loads(numbers))
    for table in ("retries", "dead_letters", "acts"):
        connection.execute(f"DELETE FROM {table} WHERE {OF_INSTANCES}", (among,))  # noqa: S608 - constants


_EVENTS = "SELECT saga, type, count(*) FROM events WHERE {} GROUP BY saga, type"
_LETTERS = "SELECT saga, reason, count(*) FROM dead_letters WHERE {} GROUP BY saga, reason"
_RETRIES = "SELECT saga, count(*) FROM retries WHERE {} GROUP BY saga"


def _related_counts(connection: sqlite3.Connection, among: str) -> counters.SagaCounts:
    """What the events, retries and dead letters of these instances count for."""
    counts: counters.SagaCounts = Counter()
    for saga, type_, count in connection.execute(_EVENTS.format(OF_INSTANCES), (among,)):
        counts.update({(saga, "events"): count, (saga, f"said.{type_}"): count})
    for saga, reason, count in connection.execute(_LETTERS.format(OF_INSTANCES), (among,)):
        counts.update({(saga, "dead_letters"): count, (saga, f"dead.{counters.bounded(reason)}"): count})
    for saga, count in connection.execute(_RETRIES.format(OF_INSTANCES), (among,)):
        counts[saga, "retries"] += count
    return counts
