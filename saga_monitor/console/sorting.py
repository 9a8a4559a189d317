"""The sort order of the table."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saga_monitor.analysis.saga_state import State
from saga_monitor.projection.queries import SagaSummary

_STATES = list(State)
_Key = Callable[[SagaSummary, dt.datetime], tuple[int | float | str, ...]]


def _elapsed(instance: SagaSummary, now: dt.datetime) -> tuple[float]:
    if instance.duration_ms is not None:
        return (instance.duration_ms / 1000,)
    return ((now - instance.started).total_seconds() if instance.started else 0.0,)


KEY = "key"
# The columns, and one criterion without a column: when an instance was last heard.
_KEYS: dict[str, _Key] = {
    KEY: lambda instance, _: (instance.key.casefold(), instance.key, instance.saga),
    "state": lambda instance, _: (_STATES.index(instance.state),),
    "elapsed": _elapsed,
    "last heard": lambda instance, _: (instance.last_offset,),
}


@dataclass(frozen=True, slots=True)
class Sorting:
    """`column`: None for the default: instances that need a person, those in flight, the last heard ones."""

    column: str | None = None
    descending: bool = False

    def next(self) -> "Sorting":
        """By the next column; after the last one, the default."""
        columns = (None, *_KEYS)
        return Sorting(columns[(columns.index(self.column) + 1) % len(columns)], self.descending)

    def reversed(self) -> "Sorting":
        return Sorting(self.column or "last heard", not self.descending)

    def of(self, instances: Sequence[SagaSummary], now: dt.datetime) -> Sequence[SagaSummary]:
        if self.column is None:
            return instances
        key = _KEYS[self.column]
        return sorted(instances, key=lambda instance: key(instance, now), reverse=self.descending)

    def words(self, noun: str) -> str:
        """The criterion and the direction; empty for the default. `noun`: the name of the column of keys."""
        column = noun if self.column == KEY else self.column
        return f" · by {column} {'▼' if self.descending else '▲'}" if column else ""
