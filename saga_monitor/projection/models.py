"""The answers of the projection: orders, events, dead letters, totals."""

import datetime as dt
from dataclasses import dataclass, field

from saga_monitor.analysis.saga_state import Flag, State, StepProgress


@dataclass(frozen=True, slots=True)
class Order:
    """Summary of an order. `started` is None when no event has a time; `heard`: the time of its last entry.

    `quiet_since` is `heard`, or the later moment until which one of its messages waits for another try.
    """

    commande_id: str
    state: State
    flags: tuple[Flag, ...]
    at_rest: bool
    steps: tuple[StepProgress, ...]
    remaining: tuple[str, ...]
    started: dt.datetime | None
    heard: dt.datetime
    quiet_since: dt.datetime
    duration_ms: int | None
    last_type: str
    last_offset: int
    retries: int
    dead_letters: int
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of an order as it was said. `note`: its `raison` or `modele`."""

    id: str
    type: str
    source: str
    time: dt.datetime | None
    causationid: str | None
    offset: int
    note: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals over everything heard. `counts`: the counters by name, such as `events` or `ignored.unreadable`."""

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
        """The counters whose names begin with `prefix`, by the rest of their names."""
        found = {n.removeprefix(prefix): v for n, v in self.counts.items() if n.startswith(prefix)}
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The last event of a service, about any order."""

    offset: int
    at: dt.datetime
