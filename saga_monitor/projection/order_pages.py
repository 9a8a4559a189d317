"""Lists of orders page by page, each sorted by an index: fast at a million orders."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.projection import time_series
from saga_monitor.projection.indexes import PLACED, of_flag
from saga_monitor.projection.messages import DEAD_LETTER, dead_letter_of
from saga_monitor.projection.models import Order
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant
from saga_monitor.projection.search import OrderFilter

# Small, because every concurrent page has a reader, and the system caches the file too.
_CACHE_KIB = 2000


@dataclass(frozen=True, slots=True)
class Sorting:
    """`columns` of an index, all in one direction. `index` is forced, because the planner may choose another."""

    columns: tuple[str, ...]
    descending: bool = True
    index: str = ""

    def place_of(self, order: Order) -> tuple[int | str, ...]:
        """The values of `columns` for `order`."""
        kept: dict[str, Any] = {"quiet_since": instant(order.quiet_since) or 0}
        return tuple(kept.get(column, getattr(order, column)) for column in self.columns)

    def beyond(self, backwards: bool) -> str:
        """The condition of the orders after a place, or before it."""
        sign = "<" if self.descending is not backwards else ">"
        return f"({', '.join(self.columns)}) {sign} ({', '.join('?' for _ in self.columns)})"


def sorting_of(only: OrderFilter) -> Sorting:
    """STUCK orders are sorted by silence, others by their last event."""
    if only.flag is Flag.STUCK:
        return Sorting(("quiet_since", "commande_id"), index="INDEXED BY orders_silent")
    if only.flag:
        index = of_flag(only.flag)
    elif only.in_flight:
        index = "orders_in_flight"
    else:
        index = "orders_by_state" if only.state else "orders_placed"
    return Sorting(("last_offset",), index=f"INDEXED BY {index}")


class PageQueries(Queries):
    """`Queries`, with those that only the web page needs."""

    def __init__(self, path: Path, stuck_after: float) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        super().__init__(path, stuck_after)
        self._opened()

    def _opened(self) -> None:
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    def sorted_orders(
        self,
        only: OrderFilter,
        limit: int,
        now: dt.datetime,
        place: tuple[object, ...] | None = None,
        backwards: bool = False,
    ) -> list[Order]:
        """The `limit` orders that pass `only` next to `place`, in the direction of reading."""
        condition, sorting = self._condition(only, now), sorting_of(only)
        conditions, values = list(condition.terms), list(condition.values)
        conditions += [] if only.state or only.flag or only.in_flight else [PLACED]
        if place is not None:
            conditions.append(sorting.beyond(backwards))
            values += place
        falling = sorting.descending is not backwards
        order = ", ".join(f"{column} {'DESC' if falling else 'ASC'}" for column in sorting.columns)
        clause = f"{sorting.index} WHERE {' AND '.join(conditions) or '1'} ORDER BY {order} LIMIT ?"
        return self._orders(clause, (*values, limit), now)

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

    def newest_dead_letters(self, limit: int, commande_id: str | None = None) -> list[DeadLetter]:
        """The newest dead letters, of that order or of all, the newest first."""
        of_order = "" if commande_id is None else " WHERE commande_id = ?"
        question = f'SELECT {DEAD_LETTER} FROM dead_letters{of_order} ORDER BY "offset" DESC LIMIT ?'  # noqa: S608
        values = (limit,) if commande_id is None else (commande_id, limit)
        return [dead_letter_of(row) for row in self.ask(question, *values)]

    def seen_between(self, first: int, after: int, step: int) -> dict[int, dict[str, int]]:
        """See `time_series.seen_between`."""
        with self._asking() as connection:
            return time_series.seen_between(connection, first, after, step)
