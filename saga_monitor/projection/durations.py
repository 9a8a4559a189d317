"""Histograms of the durations of instances and steps, from which means and percentiles are computed.

Kept by difference like the totals, so a report over a million instances reads some hundred rows. Times are kept to
five significant digits: above 100 s they are exact to a hundred-thousandth, below it to the millisecond.
"""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

WHOLE = ""  # the series of whole instances; each other series has the name of its step
_DIGITS = 5

DurationKey = tuple[str, str, int]  # saga, series, ms


@dataclass(frozen=True)
class Durations:
    """How many instances or steps took each duration (ms)."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def count(self) -> int:
        return sum(self.counts.values())

    @cached_property
    def total(self) -> int:
        """The sum of all durations (ms)."""
        return sum(ms * count for ms, count in self.counts.items())

    @property
    def mean(self) -> float | None:
        return round(self.total / self.count, 1) if self.count else None

    @property
    def max(self) -> int | None:
        return max(self.counts, default=None)

    def percentile(self, hundredths: int) -> int | None:
        """The nearest-rank percentile (ms), `hundredths` in percent; None without durations."""
        rank = max(1, math.ceil(self.count * hundredths / 100))
        for ms in sorted(self.counts):
            rank -= self.counts[ms]
            if rank <= 0:
                return ms
        return None


def contribution(saga: str, steps: Iterable[Sequence[Any]], duration_ms: int | None) -> Iterator[DurationKey]:
    """What one instance of `saga` adds: its own duration and those of its `steps`, as the file keeps them."""
    for series, _, ms, *_ in (*steps, (WHOLE, None, duration_ms)):
        if ms is not None:
            yield saga, series, rounded(ms)


def rounded(ms: int) -> int:
    """`ms` to five significant digits."""
    if ms < 10**_DIGITS:
        return ms
    surplus = len(str(ms)) - _DIGITS
    return ms if surplus <= 0 else round(ms, -surplus)


def keep(connection: sqlite3.Connection, took: Counter[DurationKey]) -> None:
    """Adds `took` to the series, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO times VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(*key, count) for key, count in took.items() if count],
    )


def kept(connection: sqlite3.Connection, sagas: Iterable[str]) -> dict[str, Durations]:
    """Every series, over all instances of these sagas."""
    rows = connection.execute(
        "SELECT series, ms, sum(count) FROM times WHERE count > 0 AND saga IN (SELECT value FROM json_each(?))"
        " GROUP BY series, ms",
        (json.dumps(list(sagas)),),
    )
    return group_durations(rows)


def group_durations(rows: Iterable[tuple[str, int, int]]) -> dict[str, Durations]:
    """Groups rows of (series, duration in ms, count) by series."""
    series: dict[str, dict[int, int]] = {}
    for name, ms, count in rows:
        series.setdefault(name, {})[ms] = count
    return {name: Durations(counts) for name, counts in series.items()}
