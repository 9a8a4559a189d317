"""What a batch changes in the totals, the counts per minute and the durations, by difference.

An instance that is evaluated again no longer counts for what it counted for before.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.saga_state import has_beginning
from saga_monitor.projection import counters, durations, time_series
from saga_monitor.projection.evaluation import Evaluation


@dataclass(slots=True)
class Deltas:
    """The changes so far."""

    counts: counters.SagaCounts = field(default_factory=Counter)
    minutes: time_series.MinuteCounts = field(default_factory=Counter)
    took: Counter[durations.DurationKey] = field(default_factory=Counter)

    def move(self, choreography: Choreography, before: Evaluation | None, now: Evaluation) -> None:
        """Lets an instance count as it stands `now`, and no longer as it stood `before`."""
        saga = choreography.name
        self._add(saga, now, 1)
        if before:
            self._add(saga, before, -1)
        for name, value in counters.of_instance(choreography, before, now):
            self.counts[saga, name] += value

    def _add(self, saga: str, one: Evaluation, sign: int) -> None:
        for name, value in counts_of(one.state, one.flags, one.at_rest, one.remaining).items():
            self.counts[saga, name] += sign * value
        for name, value in counters.left_out(one.steps, one.state, one.duration_ms).items():
            self.counts[saga, name] += sign * value
        for minute in time_series.contribution(saga, one.state, one.started, one.duration_ms):
            self.minutes[minute] += sign
        for duration in durations.contribution(saga, one.steps, one.duration_ms):
            self.took[duration] += sign

    def keep(self, connection: sqlite3.Connection) -> None:
        """Writes them, within the caller's transaction."""
        add_to_totals(connection, self.counts)
        durations.keep(connection, self.took)
        time_series.keep(connection, self.minutes)


def add_to_totals(connection: sqlite3.Connection, counts: counters.SagaCounts) -> None:
    """Adds `counts` to the totals, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(*key, value) for key, value in counts.items() if value],
    )


@lru_cache(maxsize=2000)
def counts_of(state: str, flags: str, at_rest: bool, remaining: str) -> Mapping[str, int]:
    """What an instance in this state counts for in the totals. `flags`, `remaining`: as the file keeps them."""
    counts = Counter([f"state.{state}", *(f"flag.{flag}" for flag in json.loads(flags))])
    if not has_beginning(state):
        return counts  # no instance, but its flags are counted, because a person should look at it
    counts["instances"], counts["at_rest"] = 1, int(at_rest)
    counts.update(time_series.awaited(at_rest, remaining))
    return counts
