"""The answers of the projection: orders, events, dead letters, totals."""

import datetime as dt
from dataclasses import dataclass, field

from saga_monitor.analysis.saga_state import Flag, State, StepProgress


@dataclass(frozen=True, slots=True)
class Order:
    """One order's summary. `started` is None when no event had a time; `heard`: when it last gave a sign.

    `quiet_since` is the same, or later while a message of it is known to wait for another try until then.
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
    """One event of an order, as it was said. `note`: what a reader wants of its data (`raison`, `modele`)."""

    id: str
    type: str
    source: str
    time: dt.datetime | None
    causationid: str | None
    offset: int
    note: str | None


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
