"""Forgets the orders that ended long ago, so that the file does not grow for ever.

What has not ended stays, however old: somebody must look at it. An undecided order without its beginning may have
ended before the history begins: it goes like one that has, unless a message of it was given up. The totals and the
report are of what is kept. A late word about a forgotten order makes it known again, without its beginning, and is
flagged so.
"""

import asyncio
import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import counters, dead_letters, durations, search, time_series
from saga_monitor.projection.projection import add, counted
from saga_monitor.projection.schema import instant
from saga_monitor.projection.store import Store

PAGE = 500
# Anybody may ask to cancel orders that there never were, without end; the newest are enough to find out who.
UNKNOWN_KEPT = 10_000
# Small steps with pauses: a batch of the stream never waits for a great cleaning.
_PAUSE_SECONDS = 0.05
_ROUND_SECONDS = 600.0


async def prune_for_ever(store: Store, keep_days: float) -> None:
    """Forget, now and every ten minutes, what ended more than `keep_days` ago; as a reader, nothing."""
    while True:
        if store.writes:
            before = dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)
            after: int | None = -1
            while after is not None:
                after = await asyncio.to_thread(_step, store, before, after)
                await asyncio.sleep(_PAUSE_SECONDS)
            more = True
            while more:
                more = await asyncio.to_thread(bound_unknown, store)
                await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.sleep(_ROUND_SECONDS)


def prune(store: Store, before: dt.datetime) -> None:
    """Forget every order that ended before that moment."""
    after: int | None = -1
    while after is not None:
        after = _step(store, before, after)


def _step(store: Store, before: dt.datetime, after: int) -> int | None:
    """Forget some, of those last heard of after stream offset `after`; where to go on, None at the end."""
    with store.transaction() as connection:
        return forget(connection, instant(before) or 0, after)


def forget(connection: sqlite3.Connection, before: int, after: int) -> int | None:
    """One page of the walk, within the caller's transaction: the orders lie in the order of their last word."""
    found = connection.execute(
        "SELECT number, commande_id, state, flags, at_rest, remaining, steps, duration_ms, last_offset, heard"
        " FROM orders WHERE last_offset > ? ORDER BY last_offset LIMIT ?",
        (after, PAGE),
    ).fetchall()
    old = [row for row in found if row[-1] < before]
    ended = [row for row in old if row[4] or _may_have_ended(State(row[2]), json.loads(row[3]))]
    if ended:
        _forget_orders(connection, ended)
    if not old or len(found) < PAGE:
        connection.execute("DELETE FROM minutes WHERE minute < ?", (before // time_series.MINUTE_US,))
        for table in ("retries", "dead_letters"):
            # Unreadable ones belong to no order, and anybody can name one that there is not.
            connection.execute(
                f"DELETE FROM {table} WHERE at < ? AND (commande_id IS NULL OR NOT EXISTS"  # noqa: S608
                f" (SELECT 1 FROM orders WHERE orders.commande_id = {table}.commande_id))",
                (before,),
            )
        dead_letters.forget_copies(connection)
        return None
    return int(found[-1][-2])


def bound_unknown(store: Store) -> bool:
    """Forget a page of the oldest demands to cancel what nobody has placed; False when few enough are left."""
    with store.transaction() as connection:
        ((kept,),) = connection.execute(
            "SELECT coalesce(sum(value), 0) FROM counters WHERE name = ?", (f"state.{State.UNKNOWN}",)
        ).fetchall()
        rows = connection.execute(
            "SELECT number, commande_id, state, flags, at_rest, remaining, steps, duration_ms, last_offset, heard"
            " FROM orders WHERE state = ? ORDER BY last_offset LIMIT ?",
            (State.UNKNOWN, max(0, min(PAGE, kept - UNKNOWN_KEPT))),
        ).fetchall()
        if rows:
            _forget_orders(connection, rows)
    return bool(rows)


def _may_have_ended(state: State, flags: Sequence[str]) -> bool:
    undecided = state in {State.NEW, State.RUNNING, State.FAILED}
    return undecided and Flag.NO_BEGINNING in flags and Flag.INTERVENTION not in flags


def _forget_orders(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    numbers, ids = json.dumps([row[0] for row in rows]), json.dumps([row[1] for row in rows])
    counts, took = Counter[str](), Counter[durations.Took]()
    for _, _, state, flags, at_rest, remaining, steps, duration_ms, *_ in rows:
        counts.subtract(counted(str(state), json.loads(str(flags)), bool(at_rest), str(remaining)))
        turn = counters.awaited_services(State(str(state)), bool(at_rest), json.loads(str(remaining)))
        counts.subtract(f"at_step.{service}" for service in turn)
        counts.subtract(
            counters.left_out(
                json.loads(str(steps)), str(state), duration_ms if isinstance(duration_ms, int) else None
            )
        )
        parts = [(step, ms) for step, _, ms, *_ in json.loads(str(steps))]
        took.subtract(durations.part_of(parts, duration_ms if isinstance(duration_ms, int) else None))
    counts.subtract(_words(connection, numbers, ids))
    add(connection, counts)
    durations.keep(connection, took)
    connection.execute("DELETE FROM said WHERE number IN (SELECT value FROM json_each(?))", (numbers,))
    connection.execute("DELETE FROM orders WHERE number IN (SELECT value FROM json_each(?))", (numbers,))
    search.forget(connection, json.loads(numbers))
    for table in ("retries", "dead_letters"):
        question = f"DELETE FROM {table} WHERE commande_id IN (SELECT value FROM json_each(?))"  # noqa: S608
        connection.execute(question, (ids,))


def _words(connection: sqlite3.Connection, numbers: str, ids: str) -> Counter[str]:
    """What was counted of these orders beside the orders themselves."""
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
