"""What the projection can be asked. Reads beside the monitor that writes, and never waits for it."""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saga_monitor.progress import Flag, State, StepProgress, StepState, is_stuck
from saga_monitor.schema import connect, instant, moment, refused

_COLUMNS = (
    "commande_id, state, flags, at_rest, steps, remaining, started, heard, duration_ms, last_type,"
    " last_offset, retries, dead_letters"
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order's summary. `started` is None when no event had a time; `heard`: when it last gave a sign."""

    commande_id: str
    state: State
    flags: tuple[Flag, ...]
    at_rest: bool
    steps: tuple[StepProgress, ...]
    remaining: tuple[str, ...]
    started: dt.datetime | None
    heard: dt.datetime
    duration_ms: int | None
    last_type: str
    last_offset: int
    retries: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an order, as it was said. `note`: what a reader wants of its data (`raison`, `modele`)."""

    id: str
    type: str
    source: str
    time: dt.datetime | None
    causationid: str | None
    offset: int
    note: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    service: str
    event_id: str | None
    type: str | None
    reason: str
    detail: str
    offset: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over everything heard. `counts` holds the counters as kept: `events`, `ignored.unreadable`, …"""

    counts: dict[str, int]
    stuck: int

    def count(self, name: str) -> int:
        return self.counts.get(name, 0)

    def state(self, state: State) -> int:
        return self.count(f"state.{state}")

    def flag(self, flag: Flag) -> int:
        return self.stuck if flag is Flag.STUCK else self.count(f"flag.{flag}")

    @property
    def orders(self) -> int:
        return self.count("orders")

    @property
    def in_flight(self) -> int:
        return self.orders - self.count("at_rest")

    @property
    def ignored(self) -> int:
        return sum(value for name, value in self.counts.items() if name.startswith("ignored."))

    def named(self, prefix: str) -> dict[str, int]:
        """The counters that begin with `prefix`, without it."""
        found = {n.removeprefix(prefix): v for n, v in self.counts.items() if n.startswith(prefix)}
        return dict(sorted(found.items()))


class Queries:
    """A reader of the file at `path`; `stuck_after` (seconds) says which orders are stuck."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path = path
        self._stuck_after = stuck_after
        self._connection = connect(path)

    def close(self) -> None:
        self._connection.close()

    def totals(self, now: dt.datetime) -> Totals:
        with self._asking() as connection:
            counts = dict(connection.execute("SELECT name, value FROM counters WHERE value != 0"))
            (stuck,) = connection.execute(
                "SELECT count(*) FROM orders WHERE at_rest = 0 AND heard < ?", (self._silent_since(now),)
            ).fetchone()
        return Totals(counts, stuck)

    def order(self, commande_id: str, now: dt.datetime) -> Order | None:
        """The order with that id, or None."""
        return next(iter(self._orders("WHERE commande_id = ?", (commande_id,), now)), None)

    def orders(self, state: State | None, limit: int, now: dt.datetime) -> list[Order]:
        """The most recently heard first."""
        if state is None:
            return self._orders("ORDER BY last_offset DESC LIMIT ?", (limit,), now)
        return self._orders("WHERE state = ? ORDER BY last_offset DESC LIMIT ?", (state, limit), now)

    def flagged(self, flag: Flag, limit: int, now: dt.datetime) -> list[Order]:
        """The orders with `flag`, the most recently heard first."""
        if flag is Flag.STUCK:
            silent = (self._silent_since(now), limit)
            return self._orders("WHERE at_rest = 0 AND heard < ? ORDER BY heard DESC LIMIT ?", silent, now)
        wanted = (f'%"{flag}"%', limit)
        return self._orders("WHERE flags != '[]' AND flags LIKE ? ORDER BY last_offset DESC LIMIT ?", wanted, now)

    def urgent(self, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that a person should look at: given up, contradictory, then stuck."""
        urgent = self._orders("WHERE urgent = 1 ORDER BY last_offset DESC LIMIT ?", (limit,), now)
        return _unique([*urgent, *self.flagged(Flag.STUCK, limit, now)])[:limit]

    def in_flight(self, limit: int, now: dt.datetime) -> list[Order]:
        return self._orders("WHERE at_rest = 0 ORDER BY last_offset DESC LIMIT ?", (limit,), now)

    def changed(self, after: int, limit: int, now: dt.datetime) -> list[Order]:
        """The orders heard of since stream offset `after`, the earliest first."""
        return self._orders("WHERE last_offset > ? ORDER BY last_offset LIMIT ?", (after, limit), now)

    def silent(self, since: dt.datetime, until: dt.datetime, limit: int, now: dt.datetime) -> list[Order]:
        """The orders that were last heard in that span and have something remaining."""
        span = (instant(since), instant(until), limit)
        clause = "WHERE at_rest = 0 AND heard >= ? AND heard < ? ORDER BY heard LIMIT ?"
        return self._orders(clause, span, now)

    def last_offset(self) -> int:
        """The offset of the last entry read, -1 when there is none."""
        with self._asking() as connection:
            (last,) = connection.execute("SELECT last_offset FROM position").fetchone()
        return -1 if last is None else int(last)

    def events(self, commande_id: str) -> list[Event]:
        """The order's events, as the stream has them."""
        with self._asking() as connection:
            found = connection.execute(
                'SELECT id, type, source, time, causationid, "offset", coalesce(raison, modele) FROM events'
                ' WHERE commande_id = ? ORDER BY "offset"',
                (commande_id,),
            ).fetchall()
        return [Event(id_, type_, source, moment(time), *rest) for id_, type_, source, time, *rest in found]

    def dead_letters(self, commande_id: str) -> list[DeadLetter]:
        with self._asking() as connection:
            found = connection.execute(
                'SELECT service, event_id, type, reason, detail, "offset" FROM dead_letters'
                ' WHERE commande_id = ? ORDER BY "offset"',
                (commande_id,),
            ).fetchall()
        return [DeadLetter(*row) for row in found]

    def durations_ms(self) -> list[int]:
        """How long each settled order took, ascending."""
        with self._asking() as connection:
            found = connection.execute(
                "SELECT duration_ms FROM orders WHERE duration_ms IS NOT NULL ORDER BY duration_ms"
            )
            return [ms for (ms,) in found]

    def step_durations_ms(self, step: str) -> list[int]:
        """How long the step took for each order that it answered, ascending."""
        with self._asking() as connection:
            found = connection.execute("SELECT ms FROM durations WHERE step = ? ORDER BY ms", (step,))
            return [ms for (ms,) in found]

    def _silent_since(self, now: dt.datetime) -> int | None:
        return instant(now - dt.timedelta(seconds=self._stuck_after))

    def _orders(self, clause: str, values: tuple[object, ...], now: dt.datetime) -> list[Order]:
        with self._asking() as connection:
            # The clause is one of the constants above; every value is bound.
            found = connection.execute(f"SELECT {_COLUMNS} FROM orders {clause}", values).fetchall()  # noqa: S608
        return [self._order(row, now) for row in found]

    def _order(self, row: tuple[Any, ...], now: dt.datetime) -> Order:
        id_, state, flags, at_rest, steps, remaining, started, heard, *rest = row
        last_heard = moment(heard) or now
        stuck = is_stuck(bool(at_rest), last_heard, now, self._stuck_after)
        flags = [*map(Flag, json.loads(flags)), *([Flag.STUCK] if stuck else [])]
        return Order(
            id_,
            State(state),
            tuple(sorted(flags, key=list(Flag).index)),
            bool(at_rest),
            tuple(StepProgress(step, StepState(s), ms, back) for step, s, ms, back in json.loads(steps)),
            tuple(json.loads(remaining)),
            moment(started),
            last_heard,
            *rest,
        )

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise refused(self._path, error) from error


def _unique(orders: list[Order]) -> list[Order]:
    return list({order.commande_id: order for order in orders}.values())
