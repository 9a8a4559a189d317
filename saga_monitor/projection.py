"""Takes records into the tables: keeps them, judges again the orders they touch, and moves the totals."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from saga_monitor.entries import DeadEntry, IgnoredEntry, Record, RetriedEntry, SaidEntry
from saga_monitor.progress import Flag, Heard, Progress, SetAside, judge
from saga_monitor.schema import instant, moment

# Orders that a person should look at first, besides those that are stuck.
_URGENT = {Flag.INTERVENTION, Flag.CONTRADICTION}


@dataclass(slots=True)
class _Order:
    """What is known of one order that this batch touches."""

    events: list[Heard] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    retries: int = 0
    dead_letters: int = 0
    heard: int = 0
    last_offset: int = 0
    last_type: str = ""
    last_event_offset: int = -1
    was: Any = None  # state, flags, at_rest, steps, as they were


def take_in(connection: sqlite3.Connection, records: Sequence[Record]) -> list[str]:
    """Within the caller's transaction; returns the ids of the orders touched, in the order of the records."""
    counts = _keep(connection, records)
    orders = _touched(records)
    ids = json.dumps(list(orders))
    _load_events(connection, ids, orders)
    _load_troubles(connection, ids, orders)
    _load_rows(connection, ids, orders)
    rows, durations = [], []
    for commande_id, order in orders.items():
        if order.events:
            progress = judge(order.events, order.set_aside)
            rows.append(_row(commande_id, order, progress))
            durations += _durations(commande_id, order, progress)
            counts.update(_moved(order, progress))
    connection.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT OR REPLACE INTO durations VALUES (?, ?, ?)", durations)
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(name, value) for name, value in counts.items() if value],
    )
    return list(orders)


def _keep(connection: sqlite3.Connection, records: Sequence[Record]) -> Counter[str]:
    counts = Counter(f"ignored.{record.why}" for record in records if isinstance(record, IgnoredEntry))
    said = [_event_row(record) for record in records if isinstance(record, SaidEntry)]
    before = connection.total_changes
    connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", said)
    counts["events"] = connection.total_changes - before
    counts["duplicates"] = len(said) - counts["events"]
    retried = [record for record in records if isinstance(record, RetriedEntry)]
    connection.executemany(
        "INSERT OR IGNORE INTO retries VALUES (?, ?, ?, ?, ?, ?)",
        [(r.offset, r.commande_id, r.service, r.event_id, r.attempt, instant(r.at)) for r in retried],
    )
    dead = [record for record in records if isinstance(record, DeadEntry)]
    connection.executemany(
        "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (d.offset, d.commande_id, d.service, d.event_id, d.type, d.reason, d.detail, instant(d.at))
            for d in dead
        ],
    )
    counts.update(retries=len(retried), dead_letters=len(dead))
    counts.update(f"dead.{record.reason}" for record in dead)
    return counts


def _event_row(record: SaidEntry) -> tuple[object, ...]:
    heard = record.heard
    return (
        record.commande_id,
        heard.id,
        heard.type,
        heard.service,
        record.source,
        instant(heard.time),
        heard.causationid,
        heard.modele,
        record.raison,
        record.offset,
    )


def _touched(records: Iterable[Record]) -> dict[str, _Order]:
    orders: dict[str, _Order] = defaultdict(_Order)
    for record in records:
        if not isinstance(record, IgnoredEntry) and record.commande_id is not None:
            order = orders[record.commande_id]
            order.last_offset = record.offset
            order.heard = max(order.heard, instant(record.at) or 0)
    return dict(orders)


def _load_events(connection: sqlite3.Connection, ids: str, orders: dict[str, _Order]) -> None:
    found = connection.execute(
        'SELECT commande_id, id, type, service, time, causationid, modele, "offset" FROM events'
        " WHERE commande_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    for commande_id, id_, type_, service, time, causationid, modele, offset in found:
        order = orders[commande_id]
        order.events.append(Heard(id_, type_, service, moment(time), causationid, modele))
        if offset > order.last_event_offset:
            order.last_event_offset, order.last_type = offset, type_


def _load_troubles(connection: sqlite3.Connection, ids: str, orders: dict[str, _Order]) -> None:
    dead = connection.execute(
        "SELECT commande_id, service, event_id, reason, at FROM dead_letters"
        " WHERE commande_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    for commande_id, service, event_id, reason, at in dead:
        order = orders[commande_id]
        order.set_aside.append(SetAside(service, event_id, reason))
        order.dead_letters += 1
        order.heard = max(order.heard, at)
    retried = connection.execute(
        "SELECT commande_id, count(*), max(at) FROM retries"
        " WHERE commande_id IN (SELECT value FROM json_each(?)) GROUP BY commande_id",
        (ids,),
    )
    for commande_id, retries, at in retried:
        order = orders[commande_id]
        order.retries = retries
        order.heard = max(order.heard, at)


def _load_rows(connection: sqlite3.Connection, ids: str, orders: dict[str, _Order]) -> None:
    found = connection.execute(
        "SELECT commande_id, heard, state, flags, at_rest, steps FROM orders"
        " WHERE commande_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    for commande_id, heard, state, flags, at_rest, steps in found:
        order = orders[commande_id]
        order.heard = max(order.heard, heard)
        order.was = (state, json.loads(flags), at_rest, json.loads(steps))


def _row(commande_id: str, order: _Order, progress: Progress) -> tuple[object, ...]:
    steps = [(step.step, step.state, step.duration_ms, step.undoing_ms) for step in progress.steps]
    return (
        commande_id,
        progress.state,
        json.dumps(progress.flags),
        progress.at_rest,
        bool(_URGENT.intersection(progress.flags)),
        json.dumps(steps),
        json.dumps(progress.remaining),
        instant(progress.started),
        order.heard,
        progress.duration_ms,
        order.last_type,
        order.last_offset,
        order.retries,
        order.dead_letters,
    )


def _durations(commande_id: str, order: _Order, progress: Progress) -> list[tuple[str, str, int]]:
    before = {step: ms for step, _, ms, _ in order.was[3]} if order.was else {}
    return [
        (step.step, commande_id, step.duration_ms)
        for step in progress.steps
        if step.duration_ms is not None and step.duration_ms != before.get(step.step)
    ]


def _moved(order: _Order, progress: Progress) -> Counter[str]:
    """By how much this order moves the totals."""
    moved = Counter([f"state.{progress.state}", "orders", *(f"flag.{flag}" for flag in progress.flags)])
    moved["at_rest"] = int(progress.at_rest)
    if order.was:
        state, flags, at_rest, _ = order.was
        moved.subtract([f"state.{state}", "orders", *(f"flag.{flag}" for flag in flags)])
        moved["at_rest"] -= at_rest
    return moved
