"""Applies records to the tables, judges the affected orders again, and updates the totals."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, HeardEvent, Progress, evaluate, has_beginning
from saga_monitor.projection import counters, durations, search, signals, time_series
from saga_monitor.projection.dead_letters import keep_copies
from saga_monitor.projection.messages import DEAD_LETTER, RETRY, dead_letter_of, keep, retry_of
from saga_monitor.projection.schema import EPOCH, ORDER_COLUMNS, instant, moment
from saga_monitor.projection.unknown_events import keep_unknown_events
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record

# Flags of orders that a person should look at first, besides stuck orders.
_URGENT = {Flag.INTERVENTION, Flag.CONTRADICTION}

# An update and not a replacement, so that only the indexes of changed columns are written.
_KEEP_ORDER = "INSERT INTO orders VALUES ({}) ON CONFLICT (number) DO UPDATE SET {}".format(  # noqa: S608
    ", ".join("?" for _ in ORDER_COLUMNS),
    ", ".join(f"{name} = excluded.{name}" for name in ORDER_COLUMNS[2:]),
)


@dataclass(slots=True)
class _Order:
    """An order that this batch changes."""

    number: int | None = None
    events: list[HeardEvent] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    heard: int = 0
    waits_until: int = 0
    last_offset: int = 0
    last_type: str = ""
    last_event_offset: int = -1
    named: list[str] = field(default_factory=list)
    previous: Any = None  # state, flags, at_rest, steps, remaining, started, duration_ms, as they were


def apply_records(connection: sqlite3.Connection, records: Sequence[Record]) -> list[str]:
    """Applies `records`, within the caller's transaction. Returns the keys that they concern, in their order."""
    orders = _by_key(records)
    ids = json.dumps(list(orders))
    _load_rows(connection, ids, orders)
    numbered = _numbered(connection, orders)
    counts = keep(connection, records, {id_: order.number or 0 for id_, order in orders.items()})
    _load_events(connection, numbered)
    _load_troubles(connection, ids, orders)
    seen, took = time_series.record_counts(records), Counter[durations.DurationKey]()
    rows, found = [], {}
    for commande_id, order in orders.items():
        if order.events:
            progress = evaluate(order.events, order.dead_letters, order.retries)
            rows.append(_row(commande_id, order, progress))
            counts.update(_counters_delta(order, progress))
            for name, value in counters.of_order(order.previous, progress):
                counts[name] += value
            seen.update(_minutes_delta(order, progress))
            took.update(_durations_delta(order, progress))
            began = progress.started or moment(order.heard) or EPOCH
            found[order.number or 0] = search.SearchEntry(commande_id, began.date(), tuple(order.named))
    connection.executemany(_KEEP_ORDER, rows)
    add_to_totals(connection, counts)
    durations.keep(connection, took)
    time_series.keep(connection, seen)
    search.keep(connection, found)
    _save_other_records(connection, records, orders)
    return list(orders)


def _save_other_records(
    connection: sqlite3.Connection, records: Sequence[Record], orders: dict[str, _Order]
) -> None:
    """Saves what does not belong to orders."""
    keep_unknown_events(connection, records)
    keep_copies(connection, records)
    signals.keep(connection, records, {id_: order.events for id_, order in orders.items()})


def add_to_totals(connection: sqlite3.Connection, counts: Counter[str]) -> None:
    """Adds `counts` to the totals, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(name, value) for name, value in counts.items() if value],
    )


def _by_key(records: Iterable[Record]) -> dict[str, _Order]:
    orders: dict[str, _Order] = defaultdict(_Order)
    for record in records:
        if not isinstance(record, IgnoredEntry) and record.commande_id is not None:
            order = orders[record.commande_id]
            order.last_offset = record.offset
            order.heard = max(order.heard, instant(record.at) or 0)
            order.named += record.named if isinstance(record, EventEntry) else ()
    return dict(orders)


def _numbered(connection: sqlite3.Connection, orders: dict[str, _Order]) -> dict[int, _Order]:
    """Numbers new orders in their order of arrival, so that orders of the same time lie together in the file."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM orders").fetchone()
    for order in orders.values():
        if order.number is None:
            last += 1
            order.number = last
    return {order.number: order for order in orders.values() if order.number is not None}


def _load_rows(connection: sqlite3.Connection, ids: str, orders: dict[str, _Order]) -> None:
    found = connection.execute(
        "SELECT commande_id, number, heard, state, flags, at_rest, steps, remaining, started, duration_ms"
        " FROM orders WHERE commande_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    for commande_id, number, heard, state, flags, at_rest, steps, *rest in found:
        order = orders[commande_id]
        order.number, order.heard = number, max(order.heard, heard)
        order.previous = (state, json.loads(flags), at_rest, json.loads(steps), *rest)


def _load_events(connection: sqlite3.Connection, orders: dict[int, _Order]) -> None:
    found = connection.execute(
        'SELECT number, id, type, service, time, causationid, modele, undid_nothing, "offset", source FROM said'
        " WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(list(orders)),),
    )
    for number, id_, type_, service, time, causationid, modele, nothing, offset, source in found:
        order = orders[number]
        heard = HeardEvent(id_, type_, service, moment(time), causationid, modele, bool(nothing), offset, source)
        order.events.append(heard)
        if offset > order.last_event_offset:
            order.last_event_offset, order.last_type = offset, type_


def _load_troubles(connection: sqlite3.Connection, ids: str, orders: dict[str, _Order]) -> None:
    named = " WHERE commande_id IN (SELECT value FROM json_each(?))"
    for row in connection.execute(f"SELECT {DEAD_LETTER} FROM dead_letters{named}", (ids,)):  # noqa: S608 - constants
        letter = dead_letter_of(row)
        order = orders[letter.commande_id or ""]
        order.dead_letters.append(letter)
        order.heard = max(order.heard, instant(letter.at) or 0)
    for row in connection.execute(f"SELECT {RETRY} FROM retries{named}", (ids,)):  # noqa: S608 - constants
        retry = retry_of(row)
        order = orders[retry.commande_id or ""]
        order.retries.append(retry)
        order.heard = max(order.heard, instant(retry.at) or 0)
        order.waits_until = max(order.waits_until, instant(retry.next) or 0)


def _row(commande_id: str, order: _Order, progress: Progress) -> tuple[object, ...]:
    return (
        order.number,
        commande_id,
        progress.state,
        json.dumps(progress.flags),
        progress.at_rest,
        bool(_URGENT.intersection(progress.flags)),
        json.dumps(steps_of(progress)),
        json.dumps(progress.remaining),
        instant(progress.started),
        order.heard,
        max(order.heard, order.waits_until),
        progress.duration_ms,
        order.last_type,
        order.last_offset,
        len(order.retries),
        len(order.dead_letters),
    )


def _counters_delta(order: _Order, progress: Progress) -> Counter[str]:
    """The change of the totals that this order causes."""
    moved = counts_of(progress.state, progress.flags, progress.at_rest, json.dumps(progress.remaining))
    if order.previous:
        state, flags, at_rest, steps, remaining, _, duration_ms = order.previous
        moved.subtract(counts_of(state, flags, at_rest, remaining))
        moved.subtract(counters.left_out(steps, state, duration_ms))
    moved.update(counters.left_out(steps_of(progress), progress.state, progress.duration_ms))
    return moved


def steps_of(progress: Progress) -> list[tuple[Any, ...]]:
    """The steps in the form that the file keeps."""
    return [(s.step, s.state, s.duration_ms, s.undoing_ms, s.left_out) for s in progress.steps]


def counts_of(state: str, flags: Iterable[str], at_rest: bool, remaining: str) -> Counter[str]:
    """What an order in this state counts for in the totals."""
    counts = Counter([f"state.{state}", *(f"flag.{flag}" for flag in flags)])
    if not has_beginning(state):
        return counts  # no order, but its flags are counted, because a person should look at it
    counts["orders"], counts["at_rest"] = 1, int(at_rest)
    counts.update(time_series.awaited(at_rest, remaining))
    return counts


def _minutes_delta(order: _Order, progress: Progress) -> time_series.MinuteCounts:
    """The change of the counts per minute that this order causes."""
    seen = Counter(time_series.contribution(progress.state, instant(progress.started), progress.duration_ms))
    if order.previous:
        state, *_, started, duration_ms = order.previous
        seen.subtract(time_series.contribution(state, started, duration_ms))
    return seen


def _durations_delta(order: _Order, progress: Progress) -> Counter[durations.DurationKey]:
    """The change of the durations that this order causes."""
    took = Counter(durations.contribution([(s.step, s.duration_ms) for s in progress.steps], progress.duration_ms))
    if order.previous:
        steps, *_, duration_ms = order.previous[3:]
        took.subtract(durations.contribution([(step, ms) for step, _, ms, *_ in steps], duration_ms))
    return took
