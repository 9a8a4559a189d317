"""What the projection can be asked. Reads beside the monitor that writes, and never waits for it."""

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
    """A reader of the file at `path`; `stuck_after` (seconds) says which orders are stuck."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path = path
        self._stuck_after = stuck_after
        self._connection, self._identity = connect(path), Identity(path)

    def close(self) -> None:
        self._connection.close()

    def totals(self, now: dt.datetime, most: int | None = None) -> Totals:
        """`most`: of the stuck orders, no more are counted."""
        counts = dict(self.ask("SELECT name, value FROM counters WHERE value != 0"))
        return Totals(counts, self._stuck(now, most))

    def order(self, commande_id: str, now: dt.datetime) -> Order | None:
        """The order with that id, or None."""
        return next(iter(self._orders("WHERE commande_id = ?", (commande_id,), now)), None)

    def orders(self, state: State | None, limit: int, now: dt.datetime) -> list[Order]:
        """The most recently heard first; of no `state`, all that were placed."""
        if state is None:
            return self._orders(
                f"INDEXED BY orders_placed WHERE {PLACED} ORDER BY last_offset DESC LIMIT ?", (limit,), now
            )
        return self._orders("WHERE state = ? ORDER BY last_offset DESC LIMIT ?", (state, limit), now)

    def numbered(self, numbers: Sequence[int], now: dt.datetime) -> list[Order]:
        """The orders of these numbers, which follow the order of their beginning."""
        clause = "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
        return self._orders(clause, (json.dumps(numbers),), now)

    def found(
        self, text: str, only: OrderFilter, limit: int, now: dt.datetime, place: ListPosition = FIRST
    ) -> list[Order]:
        """The orders that `text` finds, of those that pass `only`: the last to begin first, from `place` on.

        It finds a part of the key or of a data field that the choreography names, in capitals or not, and the
        orders that began on a day: `2026-11-28`, `today`, `yesterday`.
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
        """What of an order `only` asks, in SQL."""
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
        """Whether so few orders pass `only` that they are looked through rather than what a text finds."""
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
        """The orders with `flag`, the most recently heard first."""
        if flag is Flag.STUCK:
            silent = (self._silent_since(now), limit)
            return self._orders(
                "WHERE at_rest = 0 AND quiet_since < ? ORDER BY quiet_since DESC LIMIT ?", silent, now
            )
        return self._orders(f"WHERE {has(flag)} ORDER BY last_offset DESC LIMIT ?", (limit,), now)

    def urgent(self, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that a person should look at: given up, contradictory, then stuck."""
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
        """The orders heard of since stream offset `after`, the earliest first."""
        return self._orders("WHERE last_offset > ? ORDER BY last_offset LIMIT ?", (after, limit), now)

    def silent(self, since: dt.datetime, until: dt.datetime, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that fell silent in that span, and have something remaining."""
        span = (instant(since), instant(until), limit)
        clause = "WHERE at_rest = 0 AND quiet_since >= ? AND quiet_since < ? ORDER BY quiet_since LIMIT ?"
        return self._orders(clause, span, now)

    def last_offset(self) -> int:
        """The number of the last entry read, -1 when there is none."""
        return int(self.ask("SELECT coalesce(last_offset, -1) + shift FROM position")[0][0])

    def as_of(self) -> dt.datetime | None:
        """When what the file holds was true; None when nothing was read yet."""
        return moment(self.ask(f"SELECT {AS_OF} FROM position")[0][0])  # noqa: S608 - a constant

    def shift(self) -> int:
        """What is added to an offset of the stream for its number in the file: 0 until a stream is replaced."""
        return int(self.ask("SELECT shift FROM position")[0][0])

    def events(self, commande_id: str) -> list[RecordedEvent]:
        """The order's events, as the stream has them."""
        found = self.ask(
            'SELECT id, type, source, time, causationid, "offset", coalesce(raison, modele) FROM events'
            ' WHERE commande_id = ? ORDER BY "offset"',
            commande_id,
        )
        return [
            RecordedEvent(id_, type_, source, moment(time), *rest) for id_, type_, source, time, *rest in found
        ]

    def retries(self, commande_id: str) -> list[Retry]:
        """The order's retries, as the stream has them."""
        question = f'SELECT {RETRY} FROM retries WHERE commande_id = ? ORDER BY "offset"'  # noqa: S608 - constants
        return [retry_of(row) for row in self.ask(question, commande_id)]

    def dead_letters(self, commande_id: str) -> list[DeadLetter]:
        """The order's dead letters, as the stream has them."""
        question = f'SELECT {DEAD_LETTER} FROM dead_letters WHERE commande_id = ? ORDER BY "offset"'  # noqa: S608
        return [dead_letter_of(row) for row in self.ask(question, commande_id)]

    def times(self) -> dict[str, Durations]:
        """How long settled orders took (`times.ORDER`), and each step of every order that it answered."""
        with self._asking() as connection:
            return durations.kept(connection)

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that answer a question of a module beside this one."""
        with self._asking() as connection:
            return connection.execute(question, values).fetchall()

    def _silent_since(self, now: dt.datetime) -> int | None:
        return instant(now - dt.timedelta(seconds=self._stuck_after))

    def _orders(self, clause: str, values: tuple[object, ...], now: dt.datetime) -> list[Order]:
        with self._asking() as connection:
            # The clause is one of the constants above; every value is bound.
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
        """Go on in the file that is there now. Raises DatabaseRefused."""
        if self._connection.in_transaction:
            return
        change = self._identity.change()
        if change is Change.DAMAGED:
            raise FileChanged(self._path, change)
        if change is not None:
            self._connection, self._identity = reopened(self._path, self._connection, self._identity)
            self._opened()

    def _opened(self) -> None:
        """What is to be set on a new connection."""

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        self._renew()
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise refused(self._path, error) from error


def _unique(orders: list[Order]) -> list[Order]:
    return list({order.commande_id: order for order in orders}.values())
