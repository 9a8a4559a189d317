"""Counts per minute for charts: instances started and settled, durations, events, retries, dead letters.

An instance's part in it is kept by difference, like the totals: when it is judged again, what it counted for
before is taken back, so the charts of a rebuilt projection are the same as those of one that grew.
"""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import State, has_beginning
from saga_monitor.projection.schema import instant
from saga_monitor.records.parser import EventEntry, Record

MINUTE_US = 60_000_000
# Durations are kept in eight buckets per doubling: at most 9 % off, a few dozen rows per minute.
_PER_DOUBLING = 8
_TOOK = "took."
_OUTCOMES = {State.COMPLETED: "completed", State.COMPENSATED: "compensated"}

MinuteCounts = Counter[tuple[int, str, str]]  # minute, saga, name


def record_counts(records: Iterable[Record]) -> MinuteCounts:
    """What these records add, per minute."""
    names = {Retry: "retries", DeadLetter: "dead_letters"}
    return Counter(
        (
            (instant(record.at) or 0) // MINUTE_US,
            record.saga or "",
            f"said.{record.heard.type}" if isinstance(record, EventEntry) else names[type(record)],
        )
        for record in records
        if isinstance(record, EventEntry | Retry | DeadLetter)
    )


def contribution(
    saga: str, state: str, started_us: int | None, duration_ms: int | None
) -> Iterator[tuple[int, str, str]]:
    """What an instance of `saga` in this state counts for, per minute."""
    if started_us is None or not has_beginning(state):
        return
    yield started_us // MINUTE_US, saga, "started"
    if state in _OUTCOMES:
        # If a wrong clock hides when the instance was settled, it counts in the minute in which it began.
        settled = (started_us + (duration_ms or 0) * 1000) // MINUTE_US
        yield settled, saga, _OUTCOMES[State(state)]
        if duration_ms is not None:
            yield settled, saga, f"{_TOOK}{bucket(duration_ms)}"


def keep(connection: sqlite3.Connection, seen: MinuteCounts) -> None:
    """Adds `seen`, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO minutes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(*key, value) for key, value in seen.items() if value],
    )


def seen_between(
    connection: sqlite3.Connection, sagas: Iterable[str], first: int, after: int, step: int
) -> dict[int, dict[str, int]]:
    """The counts of these sagas from minute `first` up to but excluding `after`, in spans of `step` minutes."""
    found = connection.execute(
        "SELECT (minute - :first) / :step, name, sum(value) FROM minutes"
        " WHERE minute >= :first AND minute < :after AND saga IN (SELECT value FROM json_each(:sagas))"
        " GROUP BY 1, 2",
        {"first": first, "after": after, "step": step, "sagas": json.dumps(list(sagas))},
    )
    spans: dict[int, dict[str, int]] = {}
    for span, name, value in found:
        spans.setdefault(span, {})[name] = value
    return spans


def bucket(ms: int) -> int:
    """The bucket of a duration."""
    return round(_PER_DOUBLING * math.log2(max(ms, 0) + 1))


def bucket_ms(number: int) -> float:
    """The duration (ms) that represents a bucket."""
    return float(2 ** (number / _PER_DOUBLING) - 1)


def percentiles(counts: Mapping[str, int], hundredths: Sequence[int]) -> list[float | None]:
    """The percentiles (ms) of the durations in one span's `counts`; None when no instance was settled."""
    took = sorted((int(name.removeprefix(_TOOK)), n) for name, n in counts.items() if name.startswith(_TOOK))
    total = sum(n for _, n in took)
    return [_at(took, math.ceil(total * hundredth / 100)) for hundredth in hundredths]


def _at(took: Sequence[tuple[int, int]], rank: int) -> float | None:
    for number, count in took:
        rank -= count
        if rank <= 0:
            return bucket_ms(number)
    return None


def awaited(at_rest: bool, remaining: str) -> Iterator[str]:
    """The counters of the events that an instance awaits. `remaining`: as the file keeps it."""
    if not at_rest:
        yield from (f"awaited.{type_}" for type_ in json.loads(remaining))
