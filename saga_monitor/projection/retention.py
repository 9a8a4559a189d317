"""Forgets orders that ended long ago and keys that never began, so that the file stays bounded.

An order that has not ended stays, however old it is, because a person must look at it. Totals and reports cover
what is kept. A late event of a forgotten order makes its key known again, as a key without a beginning.

Anybody can send events of keys that were never placed. Such a key is forgotten once its start event can no longer
arrive, unless one of its messages was given up. At most `UNKNOWN_KEPT` of these keys are kept in any case.
"""

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from saga_monitor.analysis.saga_state import Flag, State, has_beginning
from saga_monitor.projection import counters, dead_letters, durations, search, time_series
from saga_monitor.projection.indexes import UNKNOWN
from saga_monitor.projection.projection import add_to_totals, counts_of
from saga_monitor.projection.schema import instant

PAGE = 500
# How many keys without a beginning are kept: enough to find out who sends them.
UNKNOWN_KEPT = 10_000

_COLUMNS = "number, commande_id, state, flags, at_rest, remaining, steps, duration_ms, last_offset, heard"


def forget_ended(connection: sqlite3.Connection, before: dt.datetime, after: int) -> int | None:
    """Forgets one page of the orders that ended before `before`, within the caller's transaction.

    Pages follow the stream offset of the last entry and begin after `after`. Returns where to continue, or None at
    the end.
    """
    limit = instant(before) or 0
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM orders WHERE last_offset > ? ORDER BY last_offset LIMIT ?",  # noqa: S608 - a constant
        (after, PAGE),
    ).fetchall()
    old = [row for row in found if row[-1] < limit]
    _forget(connection, [row for row in old if row[4] and not _waits_for_a_person(row)])
    if not old or len(found) < PAGE:
        _forget_the_rest(connection, limit)
        return None
    return int(found[-1][-2])


def forget_never_begun(connection: sqlite3.Connection, before: dt.datetime) -> bool:
    """Forgets one page of the keys without a beginning last heard before `before`; False when there were none.

    Runs within the caller's transaction. Keys that need a person stay.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM orders INDEXED BY orders_unknown"  # noqa: S608 - constants
        f" WHERE {UNKNOWN} AND urgent = 0 AND heard < ? ORDER BY last_offset LIMIT ?",
        (instant(before), PAGE),
    ).fetchall()
    _forget(connection, rows)
    return bool(rows)


def bound_unknown(connection: sqlite3.Connection) -> None:
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
        f"SELECT {_COLUMNS} FROM orders INDEXED BY orders_unknown WHERE {UNKNOWN}"  # noqa: S608 - constants
        " ORDER BY urgent, last_offset LIMIT ?",
        (kept - UNKNOWN_KEPT,),
    ).fetchall()
    _forget(connection, rows)
    add_to_totals(connection, Counter({counters.UNKNOWN_FORGOTTEN: len(rows)}))


def _waits_for_a_person(row: Sequence[object]) -> bool:
    """Whether a key without a beginning needs a person. An order that has ended does not."""
    return not has_beginning(str(row[2])) and Flag.INTERVENTION in json.loads(str(row[3]))


def _forget_the_rest(connection: sqlite3.Connection, before: int) -> None:
    """Forgets what belongs to no order: old minutes, and retries and dead letters of keys without events."""
    connection.execute("DELETE FROM minutes WHERE minute < ?", (before // time_series.MINUTE_US,))
    for table in ("retries", "dead_letters"):
        connection.execute(
            f"DELETE FROM {table} WHERE at < ? AND (commande_id IS NULL OR NOT EXISTS"  # noqa: S608
            f" (SELECT 1 FROM orders WHERE orders.commande_id = {table}.commande_id))",
            (before,),
        )
    dead_letters.forget_copies(connection)


def _forget(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Forgets these orders and subtracts what they count for."""
    if not rows:
        return
    numbers, ids = json.dumps([row[0] for row in rows]), json.dumps([row[1] for row in rows])
    counts, took = Counter[str](), Counter[durations.DurationKey]()
    for _, _, state, flags, at_rest, remaining, steps, duration_ms, *_ in rows:
        counts.subtract(counts_of(str(state), json.loads(str(flags)), bool(at_rest), str(remaining)))
        turn = counters.awaited_services(State(str(state)), bool(at_rest), json.loads(str(remaining)))
        counts.subtract(f"at_step.{service}" for service in turn)
        counts.subtract(
            counters.left_out(
                json.loads(str(steps)), str(state), duration_ms if isinstance(duration_ms, int) else None
            )
        )
        parts = [(step, ms) for step, _, ms, *_ in json.loads(str(steps))]
        took.subtract(durations.contribution(parts, duration_ms if isinstance(duration_ms, int) else None))
    counts.subtract(_related_counts(connection, numbers, ids))
    add_to_totals(connection, counts)
    durations.keep(connection, took)
    connection.execute("DELETE FROM said WHERE number IN (SELECT value FROM json_each(?))", (numbers,))
    connection.execute("DELETE FROM orders WHERE number IN (SELECT value FROM json_each(?))", (numbers,))
    search.forget(connection, json.loads(numbers))
    for table in ("retries", "dead_letters"):
        question = f"DELETE FROM {table} WHERE commande_id IN (SELECT value FROM json_each(?))"  # noqa: S608
        connection.execute(question, (ids,))


def _related_counts(connection: sqlite3.Connection, numbers: str, ids: str) -> Counter[str]:
    """What the events, retries and dead letters of these orders count for."""
    counts: Counter[str] = Counter()
    for total, prefix, question, values in (
        ("events", "said.", "SELECT type, count(*) FROM said WHERE number IN ({}) GROUP BY type", numbers),
        (
            "dead_letters",
            "dead.",
            "SELECT reason, count(*) FROM dead_letters WHERE commande_id IN ({}) GROUP BY 1",
            ids,
        ),
        ("retries", "", "SELECT '', count(*) FROM retries WHERE commande_id IN ({})", ids),
    ):
        for word, count in connection.execute(question.format("SELECT value FROM json_each(?)"), (values,)):
            counts[total] += count
            if prefix:
                counts[f"{prefix}{counters.bounded(word) if prefix == 'dead.' else word}"] += count
    return counts
