"""The answers of the projection: instances, events, dead letters, totals."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.saga_state import Flag, State, StepProgress, StepState, is_stuck
from saga_monitor.projection.holds import NOTHING_HELD, HeldSteps
from saga_monitor.projection.schema import moment


@dataclass(frozen=True, slots=True)
class SagaSummary:
    """Summary of an instance. `started` is None when no event has a time; `heard`: the time of its last entry.

    `quiet_since` is `heard`, or the later moment until which one of its messages waits for another try.
    """

    saga: str
    key: str
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

    @property
    def instance(self) -> Instance:
        return Instance(self.saga, self.key)


SUMMARY_COLUMNS = (
    "saga, key, state, flags, at_rest, steps, remaining, started, heard, quiet_since, duration_ms, last_type,"
    " last_offset, retries, dead_letters, number"
)


def summary_of(
    row: Sequence[Any], now: dt.datetime, stuck_after: float, held: HeldSteps = NOTHING_HELD
) -> SagaSummary:
    """The summary in a row of `SUMMARY_COLUMNS`. It is stuck after `stuck_after` s of silence, unless `held`."""
    saga, key, state, flags, at_rest, steps, remaining, started, heard, quiet, *rest = row
    quiet_since = moment(quiet) or now
    progress = tuple(
        StepProgress(step, StepState(s), ms, back, bool(left_out))
        for step, s, ms, back, left_out in json.loads(steps)
    )
    flags = [*map(Flag, json.loads(flags))]
    if Flag.INTERVENTION not in flags and held.hold(saga, progress):
        flags.append(Flag.HELD)
    elif is_stuck(bool(at_rest), quiet_since, now, stuck_after):
        flags.append(Flag.STUCK)
    return SagaSummary(
        saga,
        key,
        State(state),
        tuple(sorted(flags, key=list(Flag).index)),
        bool(at_rest),
        progress,
        tuple(json.loads(remaining)),
        moment(started),
        moment(heard) or now,
        quiet_since,
        *rest,
    )


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of an instance as it was said. `note`: the reason that it gives, or which decision it answers."""

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
    held: int = 0

    def count(self, name: str) -> int:
        return self.counts.get(name, 0)

    def state(self, state: State) -> int:
        return self.count(f"state.{state}")

    def flag(self, flag: Flag) -> int:
        clocked = {Flag.STUCK: self.stuck, Flag.HELD: self.held}
        return clocked[flag] if flag in clocked else self.count(f"flag.{flag}")

    @property
    def instances(self) -> int:
        return self.count("instances")

    @property
    def in_flight(self) -> int:
        return self.instances - self.count("at_rest")

    @property
    def ignored(self) -> int:
        return sum(value for name, value in self.counts.items() if name.startswith("ignored."))

    def named(self, prefix: str) -> dict[str, int]:
        """The counters whose names begin with `prefix`, by the rest of their names."""
        found = {n.removeprefix(prefix): v for n, v in self.counts.items() if n.startswith(prefix)}
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The last event of a service, about any instance."""

    offset: int
    at: dt.datetime
