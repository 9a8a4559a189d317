"""The sort order of the table."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saga_monitor.analysis.saga_state import State
from saga_monitor.projection.queries import Order

_STATES = list(State)
_Key = Callable[[Order, dt.datetime], tuple[int | float | str, ...]]


def _elapsed(order: Order, now: dt.datetime) -> tuple[float]:
    if order.duration_ms is not None:
        return (order.duration_ms / 1000,)
    return ((now - order.started).total_seconds() if order.started else 0.0,)


# The columns, and one criterion without a column: when an order was last heard.
_KEYS: dict[str, _Key] = {
    "order": lambda order, _: (order.commande_id.casefold(), order.commande_id),
    "state": lambda order, _: (_STATES.index(order.state),),
    "elapsed": _elapsed,
    "last heard": lambda order, _: (order.last_offset,),
}


@dataclass(frozen=True, slots=True)
class Sorting:
    """`column`: None for the default: orders that need a person, those in flight, the last heard ones."""

    column: str | None = None
    descending: bool = False

    def next(self) -> "Sorting":
        """By the next column; after the last one, the default."""
        columns = (None, *_KEYS)
        return Sorting(columns[(columns.index(self.column) + 1) % len(columns)], self.descending)

    def reversed(self) -> "Sorting":
        return Sorting(self.column or "last heard", not self.descending)

    def of(self, orders: Sequence[Order], now: dt.datetime) -> Sequence[Order]:
        if self.column is None:
            return orders
        key = _KEYS[self.column]
        return sorted(orders, key=lambda order: key(order, now), reverse=self.descending)

    def __str__(self) -> str:
        return f" · by {self.column} {'▼' if self.descending else '▲'}" if self.column else ""
