"""Queries over the projection. They read while the monitor writes, and never wait for it."""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State, StepProgress, StepState, is_stuck
from saga_monitor.projection import durations
from saga_monitor.projection.durations import Durations
from saga_monitor.projection.file_identity import Change, FileChanged, Identity, reopened
from saga_monitor.projection.indexes import PLACED, has
from saga_monitor.projection.messages import DEAD_LETTER, RETRY, dead_letter_of, retry_of
from saga_monitor.projection.models import Order, RecordedEvent, Totals
from saga_monitor.projection.schema import AS_OF, connect, instant, moment, refused
from saga_monitor.projection.search import (
    FEW_OF,
    FIRST,
    Condition,
    ListPosition,
    OrderFilter,
    numbers_of,
    parse_search,
)

__all__ = ["Order", "Queries", "RecordedEvent", "Totals"]

_COLUMNS = (
    "commande_id, state, flags, at_rest, steps, remaining, started, heard, quiet_since, duration_ms, last_type,"
    " last_offset, retries, dead_letters, number"
)


class Queries:
    """Reads the file at `path`. An order is stuck after `stuck_after` seconds of silence."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path = path
        self._stuck_after = stuck_after
        self._connection, self._identity = connect(path), Identity(path)

    def close(self) -> None:
        self._connection.close()

    def totals(self, now: dt.datetime, most: int | None = None) -> Totals:
        """The totals at `now`. Counts at most `most` stuck orders."""
        counts = dict(self.ask("SELECT name, value FROM counters WHERE value != 0"))
        return Totals(counts, self._stuck(now, most))

    def order(self, commande_id: str, now: dt.datetime) -> Order | None:
        """The order with that key, or None."""
        return next(iter(self._orders("WHERE commande_id = ?", (commande_id,), now)), None)

    def orders(self, state: State | None, limit: int, now: dt.datetime) -> list[Order]:
        """The orders in `state`, or all that have a beginning; the last heard first."""
        if state is None:
            return self._orders(
                f"INDEXED BY orders_placed WHERE {PLACED} ORDER BY last_offset DESC LIMIT ?", (limit,), now
            )
        return self._orders("WHERE state = ? ORDER BY last_offset DESC LIMIT ?", (state, limit), now)

    def numbered(self, numbers: Sequence[int], now: dt.datetime) -> list[Order]:
        """The orders with these numbers, in the order of their arrival."""
        clause = "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
        return self._orders(clause, (json.dumps(numbers),), now)

    def search(
        self, text: str, only: OrderFilter, limit: int, now: dt.datetime, place: ListPosition = FIRST
    ) -> list[Order]:
        """The orders that match `text` and `only`, the last to begin first, from `place` on.

        `text` matches a part of the key or of a searched data field, case-insensitively, or the day on which an
        order began: `2026-11-28`, `today`, `yesterday`.
        """
        wanted = parse_search(text, now)
        if wanted is None:
            return []
        with self._asking() as connection:
            condition, few = self._condition(only, now), self._few(only, now)
            numbers = numbers_of(connection, wanted, condition, few, place, limit)
        orders = {order.commande_id: order for order in self.numbered(numbers, now)}
        return list(orders.values()) if place.backwards else list(orders.values())[::-1]

    def _condition(self, only: OrderFilter, now: dt.datetime) -> Condition:
        """The filter `only` in SQL."""
        asked: list[tuple[str, tuple[object, ...]]] = []
        if only.flag is Flag.STUCK:
            asked.append(("at_rest = 0 AND quiet_since < ?", (self._silent_since(now),)))
        elif only.flag:
            asked.append((has(only.flag), ()))
        if only.in_flight:
            asked.append(("at_rest = 0", ()))
        if only.troubled:
            asked.append(("(urgent = 1 OR at_rest = 0 AND quiet_since < ?)", (self._silent_since(now),)))
        if only.state:
            asked.append(("state = ?", (only.state,)))
        return Condition([sql for sql, _ in asked], [value for _, values in asked for value in values])

    def _few(self, only: OrderFilter, now: dt.datetime) -> bool:
        """Whether few enough orders pass `only` to search these rather than the index of texts."""
        names = [f"state.{only.state}"] if only.state else []
        names += [f"flag.{only.flag}"] if only.flag and only.flag is not Flag.STUCK else []
        most = self._counter("orders") // FEW_OF
        counts = [self._counter(name) for name in names]
        counts += [self._counter("orders") - self._counter("at_rest")] if only.in_flight else []
        counts += [self._stuck(now, most + 1)] if only.flag is Flag.STUCK else []
        return bool(counts) and min(counts) <= most

    def _counter(self, name: str) -> int:
        return int(sum(value for (value,) in self.ask("SELECT value FROM counters WHERE name = ?", name)))

    def flagged(self, flag: Flag, limit: int, now: dt.datetime) -> list[Order]:
        """The orders with `flag`, the last heard first."""
        if flag is Flag.STUCK:
            silent = (self._silent_since(now), limit)
            return self._orders(
                "WHERE at_rest = 0 AND quiet_since < ? ORDER BY quiet_since DESC LIMIT ?", silent, now
            )
        return self._orders(f"WHERE {has(flag)} ORDER BY last_offset DESC LIMIT ?", (limit,), now)

    def urgent(self, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that need a person: those with INTERVENTION or CONTRADICTION, then the stuck ones."""
        urgent = self._orders("WHERE urgent = 1 ORDER BY last_offset DESC LIMIT ?", (limit,), now)
        return _unique([*urgent, *self.flagged(Flag.STUCK, limit, now)])[:limit]

    def _stuck(self, now: dt.datetime, most: int | None) -> int:
        ((stuck,),) = self.ask(
            "SELECT count(*) FROM (SELECT 1 FROM orders WHERE at_rest = 0 AND quiet_since < ? LIMIT ?)",
            self._silent_since(now),
            -1 if most is None else most,
        )
        return int(stuck)

    def in_flight(self, limit: int, now: dt.datetime) -> list[Order]:
        return self._orders("WHERE at_rest = 0 ORDER BY last_offset DESC LIMIT ?", (limit,), now)

    def changed(self, after: int, limit: int, now: dt.datetime) -> list[Order]:
        """The orders with an entry after stream offset `after`, the earliest first."""
        return self._orders("WHERE last_offset > ? ORDER BY last_offset LIMIT ?", (after, limit), now)

    def silent(self, since: dt.datetime, until: dt.datetime, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that became silent in that span and still await something."""
        span = (instant(since), instant(until), limit)
        clause = "WHERE at_rest = 0 AND quiet_since >= ? AND quiet_since < ? ORDER BY quiet_since LIMIT ?"
        return self._orders(clause, span, now)

    def last_offset(self) -> int:
        """The number of the last entry read, or -1."""
        return int(self.ask("SELECT coalesce(last_offset, -1) + shift FROM position")[0][0])

    def as_of(self) -> dt.datetime | None:
        """When what the file holds was true; None when nothing was read yet."""
        return moment(self.ask(f"SELECT {AS_OF} FROM position")[0][0])  # noqa: S608 - a constant

    def shift(self) -> int:
        """An entry's number in the file minus its stream offset: 0 until a stream is replaced."""
        return int(self.ask("SELECT shift FROM position")[0][0])

    def events(self, commande_id: str) -> list[RecordedEvent]:
        """The order's events, in stream order."""
        found = self.ask(
            'SELECT id, type, source, time, causationid, "offset", coalesce(raison, modele) FROM events'
            ' WHERE commande_id = ? ORDER BY "offset"',
            commande_id,
        )
        return [
            RecordedEvent(id_, type_, source, moment(time), *rest) for id_, type_, source, time, *rest in found
        ]

    def retries(self, commande_id: str) -> list[Retry]:
        """The order's retries, in stream order."""
        question = f'SELECT {RETRY} FROM retries WHERE commande_id = ? ORDER BY "offset"'  # noqa: S608 - constants
        return [retry_of(row) for row in self.ask(question, commande_id)]

    def dead_letters(self, commande_id: str) -> list[DeadLetter]:
        """The order's dead letters, in stream order."""
        question = f'SELECT {DEAD_LETTER} FROM dead_letters WHERE commande_id = ? ORDER BY "offset"'  # noqa: S608
        return [dead_letter_of(row) for row in self.ask(question, commande_id)]

    def times(self) -> dict[str, Durations]:
        """The durations of settled orders (series `durations.ORDER`) and of each step that has answered."""
        with self._asking() as connection:
            return durations.kept(connection)

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises DatabaseRefused."""
        with self._asking() as connection:
            return connection.execute(question, values).fetchall()

    def _silent_since(self, now: dt.datetime) -> int | None:
        return instant(now - dt.timedelta(seconds=self._stuck_after))

    def _orders(self, clause: str, values: tuple[object, ...], now: dt.datetime) -> list[Order]:
        with self._asking() as connection:
            # The clause is a constant of this module; every value is bound.
            found = connection.execute(f"SELECT {_COLUMNS} FROM orders {clause}", values).fetchall()  # noqa: S608
        return [self._order(row, now) for row in found]

    def _order(self, row: tuple[Any, ...], now: dt.datetime) -> Order:
        id_, state, flags, at_rest, steps, remaining, started, heard, quiet, *rest = row
        quiet_since = moment(quiet) or now
        stuck = is_stuck(bool(at_rest), quiet_since, now, self._stuck_after)
        flags = [*map(Flag, json.loads(flags)), *([Flag.STUCK] if stuck else [])]
        return Order(
            id_,
            State(state),
            tuple(sorted(flags, key=list(Flag).index)),
            bool(at_rest),
            tuple(
                StepProgress(step, StepState(s), ms, back, bool(left_out))
                for step, s, ms, back, left_out in json.loads(steps)
            ),
            tuple(json.loads(remaining)),
            moment(started),
            moment(heard) or now,
            quiet_since,
            *rest,
        )

    def _renew(self) -> None:
        """Reopens the file if it was replaced. Raises DatabaseRefused."""
        if self._connection.in_transaction:
            return
        change = self._identity.change()
        if change is Change.DAMAGED:
            raise FileChanged(self._path, change)
        if change is not None:
            self._connection, self._identity = reopened(self._path, self._connection, self._identity)
            self._opened()

    def _opened(self) -> None:
        """Prepares a new connection; for subclasses."""

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        self._renew()
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise refused(self._path, error) from error


def _unique(orders: list[Order]) -> list[Order]:
    return list({order.commande_id: order for order in orders}.values())
