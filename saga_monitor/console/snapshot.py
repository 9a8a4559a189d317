"""The data of one redraw, read from the projection: totals, rates and the listed orders."""

import datetime as dt
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.console.sorting import Sorting
from saga_monitor.projection.queries import Order, Queries, RecordedEvent, Totals
from saga_monitor.projection.search import OrderFilter

RATE_SECONDS = 10.0
SPARKS = 24
MOST_ORDERS = 300

_BARS = "▁▂▃▄▅▆▇█"
_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


class Special(StrEnum):
    """Filters that are neither a state nor a flag."""

    ALL = "all"
    IN_FLIGHT = "in flight"
    TROUBLED = "troubled"


Filter = Special | State | Flag
FILTERS: tuple[Filter, ...] = (*Special, *State, *Flag)


@dataclass
class Rates:
    """How fast a total grows, over the last seconds and as one bar per second."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _bars: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SPARKS + 1))

    def per_second(self, total: int, seconds: float) -> float:
        """The rate per second at the time `seconds` (s, of any monotonic clock), when the total is `total`."""
        self._seen.append((seconds, total))
        while len(self._seen) > 2 and seconds - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        if self._bars and self._bars[-1][0] == int(seconds):
            self._bars[-1] = (int(seconds), total)
        else:
            self._bars.append((int(seconds), total))
        then, before = self._seen[0]
        return max(0, total - before) / (seconds - then) if seconds > then else 0.0

    def sparkline(self) -> str:
        """One bar per second, scaled to the highest."""
        points = list(self._bars)
        growth = [
            max(0, after - before) / max(1, then - earlier)
            for (earlier, before), (then, after) in itertools.pairwise(points)
        ]
        most = max(growth, default=0)
        bars = "".join(_BARS[round(rate / most * (len(_BARS) - 1))] if most else _BARS[0] for rate in growth)
        return bars.rjust(SPARKS, _BARS[0])


@dataclass(frozen=True)
class Snapshot:
    """The data of one redraw. `rates` and `sparks`: of events, then of started orders."""

    now: dt.datetime
    totals: Totals
    orders: Sequence[Order]
    rates: tuple[float, float]
    sparks: tuple[str, str]


@dataclass
class SnapshotReader:
    """Reads snapshots. Each takes a few milliseconds, whatever the size of the file."""

    queries: Queries
    filter: Filter = Special.ALL
    search: str = ""
    sorting: Sorting = field(default_factory=Sorting)
    _events: Rates = field(default_factory=Rates)
    _orders: Rates = field(default_factory=Rates)

    def snapshot(self, now: dt.datetime) -> Snapshot:
        totals, seconds = self.queries.totals(now), now.timestamp()
        rates = (
            self._events.per_second(totals.count("events"), seconds),
            self._orders.per_second(totals.orders, seconds),
        )
        sparks = (self._events.sparkline(), self._orders.sparkline())
        return Snapshot(now, totals, self.sorting.of(self._chosen(now), now), rates, sparks)

    def _chosen(self, now: dt.datetime) -> Sequence[Order]:
        if self.search:
            return self.queries.search(self.search, _only(self.filter), MOST_ORDERS, now)
        if isinstance(self.filter, State):
            return self.queries.orders(self.filter, MOST_ORDERS, now)
        if isinstance(self.filter, Flag):
            return self.queries.flagged(self.filter, MOST_ORDERS, now)
        if self.filter is Special.IN_FLIGHT:
            return self.queries.in_flight(MOST_ORDERS, now)
        if self.filter is Special.TROUBLED:
            return self.queries.urgent(MOST_ORDERS, now)
        return self._all(now)

    def _all(self, now: dt.datetime) -> Sequence[Order]:
        # At most a third of the rows for orders with problems, so that others can still be followed.
        chosen = {order.commande_id: order for order in self.queries.urgent(MOST_ORDERS // 3, now)}
        for more in (self.queries.in_flight(MOST_ORDERS, now), self.queries.orders(None, MOST_ORDERS, now)):
            for order in more:
                chosen.setdefault(order.commande_id, order)
        return list(chosen.values())[:MOST_ORDERS]


def _only(chosen: Filter) -> OrderFilter:
    if isinstance(chosen, State):
        return OrderFilter(state=chosen)
    if isinstance(chosen, Flag):
        return OrderFilter(flag=chosen)
    return OrderFilter(in_flight=chosen is Special.IN_FLIGHT, troubled=chosen is Special.TROUBLED)


@dataclass(frozen=True)
class OrderHistory:
    """One order with its events, retries and dead letters."""

    order: Order
    events: Sequence[RecordedEvent]
    retries: Sequence[Retry]
    dead_letters: Sequence[DeadLetter]


def order_history(queries: Queries, commande_id: str, now: dt.datetime) -> OrderHistory | None:
    """The order of that id, or None."""
    order = queries.order(commande_id, now)
    if order is None:
        return None
    return OrderHistory(
        order, queries.events(commande_id), queries.retries(commande_id), queries.dead_letters(commande_id)
    )
