"""The data of one redraw, read from the projection: totals, rates and the listed instances."""

import datetime as dt
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.console.sorting import Sorting
from saga_monitor.projection.queries import Queries, RecordedEvent, SagaSummary, Totals
from saga_monitor.projection.search import InstanceFilter

RATE_SECONDS = 10.0
SPARKS = 24
MOST_INSTANCES = 300

_BARS = "▁▂▃▄▅▆▇█"
_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)


class Special(StrEnum):
    """Filters that are neither a state nor a flag."""

    ALL = "all"
    IN_FLIGHT = "in flight"
    NEEDS_ATTENTION = "needs attention"


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
    """The data of one redraw: of `sagas`. `rates` and `sparks`: of events, then of started instances."""

    now: dt.datetime
    sagas: SagaSet
    totals: Totals
    instances: Sequence[SagaSummary]
    rates: tuple[float, float]
    sparks: tuple[str, str]


@dataclass
class SnapshotReader:
    """Reads snapshots of `saga`, or of all. Each takes a few milliseconds, whatever the size of the file."""

    queries: Queries
    saga: str | None = None
    filter: Filter = Special.ALL
    search: str = ""
    sorting: Sorting = field(default_factory=Sorting)
    _events: Rates = field(default_factory=Rates)
    _instances: Rates = field(default_factory=Rates)

    @property
    def sagas(self) -> SagaSet:
        """The sagas that are shown."""
        return self.queries.sagas.only(self.saga)

    def next_saga(self) -> None:
        """Show the next saga alone; after the last one, all."""
        names = [None, *self.queries.sagas.by_name]
        self.saga = names[(names.index(self.saga) + 1) % len(names)]
        self._events, self._instances = Rates(), Rates()

    def snapshot(self, now: dt.datetime) -> Snapshot:
        totals, seconds = self.queries.totals(now, saga=self.saga), now.timestamp()
        rates = (
            self._events.per_second(totals.count("events"), seconds),
            self._instances.per_second(totals.instances, seconds),
        )
        sparks = (self._events.sparkline(), self._instances.sparkline())
        return Snapshot(now, self.sagas, totals, self.sorting.of(self._chosen(now), now), rates, sparks)

    def _chosen(self, now: dt.datetime) -> Sequence[SagaSummary]:
        queries, saga = self.queries, self.saga
        if self.search:
            return queries.search(self.search, _only(self.filter, saga), MOST_INSTANCES, now)
        if isinstance(self.filter, State):
            return queries.instances(self.filter, MOST_INSTANCES, now, saga)
        if isinstance(self.filter, Flag):
            return queries.flagged(self.filter, MOST_INSTANCES, now, saga)
        if self.filter is Special.IN_FLIGHT:
            return queries.in_flight(MOST_INSTANCES, now, saga)
        if self.filter is Special.NEEDS_ATTENTION:
            return queries.urgent(MOST_INSTANCES, now, saga)
        return self._all(now)

    def _all(self, now: dt.datetime) -> Sequence[SagaSummary]:
        queries, saga = self.queries, self.saga
        # At most a third of the rows for instances with problems, so that others can still be followed.
        chosen = {one.instance: one for one in queries.urgent(MOST_INSTANCES // 3, now, saga)}
        in_flight = queries.in_flight(MOST_INSTANCES, now, saga)
        for one in (*in_flight, *queries.instances(None, MOST_INSTANCES, now, saga)):
            chosen.setdefault(one.instance, one)
        return list(chosen.values())[:MOST_INSTANCES]


def _only(chosen: Filter, saga: str | None) -> InstanceFilter:
    if isinstance(chosen, State):
        return InstanceFilter(state=chosen, saga=saga)
    if isinstance(chosen, Flag):
        return InstanceFilter(flag=chosen, saga=saga)
    in_flight, needs_attention = chosen is Special.IN_FLIGHT, chosen is Special.NEEDS_ATTENTION
    return InstanceFilter(in_flight=in_flight, needs_attention=needs_attention, saga=saga)


@dataclass(frozen=True)
class InstanceHistory:
    """One instance with its events, retries and dead letters."""

    summary: SagaSummary
    events: Sequence[RecordedEvent]
    retries: Sequence[Retry]
    dead_letters: Sequence[DeadLetter]


def instance_history(queries: Queries, instance: Instance, now: dt.datetime) -> InstanceHistory | None:
    """That instance, or None."""
    summary = queries.instance(instance, now)
    if summary is None:
        return None
    events, retries = queries.events(instance), queries.retries(instance)
    return InstanceHistory(summary, events, retries, queries.dead_letters(instance))
