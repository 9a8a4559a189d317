"""The queries of the pages, fast at a million orders."""

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.projection import time_series
from saga_monitor.projection.indexes import PLACED, of_flag
from saga_monitor.projection.messages import DEAD_LETTER, dead_letter_of
from saga_monitor.projection.queries import Order, Queries
from saga_monitor.projection.schema import instant
from saga_monitor.projection.search import FIRST, ListPosition
from saga_monitor.web.filters import IN_FLIGHT, Cursor, Filters

# Larger numbers are shown as "10,000+": counting further would take most of the time of a page.
MOST_COUNTED = 10_000
_IDLE_CONNECTIONS = 4
# Small, because every concurrent page has a reader, and the system caches the file too.
_CACHE_KIB = 2000


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders of a list, and the filters of the pages before and after, if any."""

    orders: tuple[Order, ...]
    newer: Filters | None
    older: Filters | None


@dataclass(frozen=True, slots=True)
class _Sorting:
    """`columns` of an index, all in one direction. `index` is forced, because the planner may choose another."""

    columns: tuple[str, ...]
    descending: bool = True
    index: str = ""


# Found orders are sorted by number.
_BY_NUMBER = _Sorting(("number",))


class Reader(Queries):
    """`Queries`, with those that only the web page needs."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        super().__init__(path, stuck_after)
        self._opened()

    def _opened(self) -> None:
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    def page(self, filters: Filters, now: dt.datetime) -> Page:
        """The orders that pass `filters`, from its cursor on."""
        if filters.q:
            return self._searched(filters, now)
        condition = self._condition(filters.only_orders, now)
        conditions, values = list(condition.terms), list(condition.values)
        conditions += [] if filters.state or filters.flag else [PLACED]
        sorting, cursor = _sorting(filters), filters.cursor
        backwards = cursor is not None and cursor.direction == "before"
        if cursor:
            conditions.append(_beyond(sorting, backwards))
            values += cursor.values
        falling = sorting.descending is not backwards
        order = ", ".join(f"{column} {'DESC' if falling else 'ASC'}" for column in sorting.columns)
        clause = f"{sorting.index} WHERE {' AND '.join(conditions) or '1'} ORDER BY {order} LIMIT ?"
        found = self._orders(clause, (*values, filters.limit + 1), now)
        more, found = len(found) > filters.limit, found[: filters.limit]
        if backwards and not more:
            # Near the top, show the full first page instead of a short one.
            return self.page(filters.at(None), now)
        return _page(found[::-1] if backwards else found, filters, sorting, bool(cursor), backwards or more)

    @contextmanager
    def in_one_snapshot(self) -> Iterator[None]:
        """All queries within the block see one state of the file."""
        with self._asking() as connection:
            connection.execute("BEGIN")
        try:
            yield
        finally:
            with self._asking() as connection:
                connection.execute("COMMIT")

    def _searched(self, filters: Filters, now: dt.datetime) -> Page:
        cursor = filters.cursor
        backwards = cursor is not None and cursor.direction == "before"
        place = ListPosition(int(cursor.values[0]), backwards) if cursor else FIRST
        found = self.search(filters.q, filters.only_orders, filters.limit + 1, now, place)
        more, found = len(found) > filters.limit, found[: filters.limit]
        if backwards and not more:
            return self.page(filters.at(None), now)
        return _page(found[::-1] if backwards else found, filters, _BY_NUMBER, bool(cursor), backwards or more)

    def newest_dead_letters(self, limit: int, commande_id: str | None = None) -> list[DeadLetter]:
        """The newest dead letters, of that order or of all, the newest first."""
        of_order = "" if commande_id is None else " WHERE commande_id = ?"
        question = f'SELECT {DEAD_LETTER} FROM dead_letters{of_order} ORDER BY "offset" DESC LIMIT ?'  # noqa: S608
        values = (limit,) if commande_id is None else (commande_id, limit)
        return [dead_letter_of(row) for row in self.ask(question, *values)]

    def seen_between(self, first: int, after: int, step: int) -> dict[int, dict[str, int]]:
        """See `minutes.seen_between`."""
        with self._asking() as connection:
            return time_series.seen_between(connection, first, after, step)


class Readers:
    """A pool of readers of one file: each request has one of its own."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        self._path, self._stuck_after = path, stuck_after
        self._idle: list[Reader] = []
        self._lock = threading.Lock()

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader whose queries all see one state. Raises DatabaseRefused when the file cannot be read."""
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        reader = reader or Reader(self._path, self._stuck_after)
        try:
            with reader.in_one_snapshot():
                yield reader
        except BaseException:
            reader.close()
            raise
        self._give_back(reader)

    def _give_back(self, reader: Reader) -> None:
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(reader)
                return
        reader.close()

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()


def _sorting(filters: Filters) -> _Sorting:
    index = f"INDEXED BY {_index(filters)}"
    if filters.flag == Flag.STUCK:
        return _Sorting(("quiet_since", "commande_id"), index=index)
    return _Sorting(("last_offset",), index=index)


def _index(filters: Filters) -> str:
    """The index that has the order of the list."""
    if filters.flag and filters.flag != Flag.STUCK:
        return of_flag(Flag(filters.flag))
    if filters.flag:
        return "orders_silent"
    if filters.state == IN_FLIGHT:
        return "orders_in_flight"
    return "orders_by_state" if filters.state else "orders_placed"


def _beyond(sorting: _Sorting, backwards: bool) -> str:
    sign = "<" if sorting.descending is not backwards else ">"
    return f"({', '.join(sorting.columns)}) {sign} ({', '.join('?' for _ in sorting.columns)})"


def _page(found: Sequence[Order], filters: Filters, sorting: _Sorting, begun: bool, more: bool) -> Page:
    """`begun`: the page is not the first one. `more`: there are orders after it."""

    def beside(order: Order, direction: Literal["after", "before"]) -> Filters:
        kept = {"quiet_since": instant(order.quiet_since) or 0}
        return filters.at(Cursor(direction, tuple(kept.get(c, getattr(order, c)) for c in sorting.columns)))

    return Page(
        tuple(found),
        newer=beside(found[0], "before") if found and begun else None,
        older=beside(found[-1], "after") if found and more else None,
    )


_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)
