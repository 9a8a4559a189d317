"""The numbers of a report: counts and durations, of all orders or of those since a moment."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.counters import UNKNOWN_FORGOTTEN, bounded, left_out
from saga_monitor.projection.durations import Durations, group_durations, rounded
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant

_FLAG_SUMS = ", ".join(f"sum(flags LIKE '%\"{flag}\"%')" for flag in Flag)


@dataclass(frozen=True)
class Aggregates:
    """The numbers of a report.

    `duplicates`, `ignored` and `unknown_forgotten` are None in a report since a moment: they have no time.

    `unknown_forgotten`: how many keys without a beginning were forgotten because there were too many.
    """

    states: Mapping[State, int]
    flags: Mapping[Flag, int]
    times: Mapping[str, Durations]
    events: int
    retries: int
    dead_letters: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    duplicates: int | None = None
    ignored: Mapping[str, int] | None = None
    unknown_forgotten: int | None = None


def aggregates_of_all(queries: Queries, now: dt.datetime) -> Aggregates:
    """Aggregates of all orders. Reads only the totals, so it takes as long for ten orders as for a million."""
    totals = queries.totals(now)
    return Aggregates(
        states={state: totals.state(state) for state in State},
        flags={flag: totals.flag(flag) for flag in Flag},
        times=queries.times(),
        events=totals.count("events"),
        retries=totals.count("retries"),
        dead_letters={reason: n for reason, n in totals.named("dead.").items() if n},
        left_out={series: n for series, n in totals.named("left_out.").items() if n},
        duplicates=totals.count("duplicates"),
        ignored=totals.named("ignored."),
        unknown_forgotten=totals.count(UNKNOWN_FORGOTTEN),
    )


def aggregates_since(queries: Queries, since: dt.datetime, now: dt.datetime, stuck_after: float) -> Aggregates:
    """Aggregates of the orders that began at `since` or later, with all their events, whenever they were said.

    Keys without a beginning count when they were last heard at `since` or later.
    """
    first = instant(since)
    rows = queries.ask(
        "SELECT state, count(*), sum(retries) FROM orders WHERE coalesce(started, heard) >= ? GROUP BY state",
        first,
    )
    return Aggregates(
        states=dict.fromkeys(State, 0) | {State(state): count for state, count, _ in rows},
        flags=_flags_since(queries, since, now, stuck_after),
        times=_times_since(queries, since),
        events=queries.ask(
            "SELECT count(*) FROM said JOIN orders USING (number) WHERE coalesce(started, heard) >= ?", first
        )[0][0],
        retries=sum(retries for *_, retries in rows),
        dead_letters=_dead_letters_since(queries, since),
        left_out=_left_out_since(queries, since),
    )


def _left_out_since(queries: Queries, since: dt.datetime) -> dict[str, int]:
    counts = Counter[str]()
    for steps, state, duration_ms in queries.ask(
        "SELECT steps, state, duration_ms FROM orders WHERE started >= ? AND instr(steps, 'true') > 0",
        instant(since),
    ):
        counts.update(left_out(json.loads(steps), state, duration_ms))
    return {name.removeprefix("left_out."): number for name, number in sorted(counts.items())}


def _dead_letters_since(queries: Queries, since: dt.datetime) -> dict[str, int]:
    counts = Counter[str]()
    for reason, count in queries.ask(
        "SELECT reason, count(*) FROM dead_letters JOIN orders USING (commande_id)"
        " WHERE coalesce(started, heard) >= ? GROUP BY 1",
        instant(since),
    ):
        counts[bounded(reason)] += count
    return dict(sorted(counts.items()))


def _flags_since(queries: Queries, since: dt.datetime, now: dt.datetime, stuck_after: float) -> dict[Flag, int]:
    # The SQL contains only the flags' names; values are bound.
    found = queries.ask(
        f"SELECT {_FLAG_SUMS} FROM orders WHERE flags != '[]' AND coalesce(started, heard) >= ?",  # noqa: S608
        instant(since),
    )[0]
    silent = instant(now - dt.timedelta(seconds=stuck_after))
    ((stuck,),) = queries.ask(
        "SELECT count(*) FROM orders WHERE at_rest = 0 AND quiet_since < ? AND coalesce(started, heard) >= ?",
        silent,
        instant(since),
    )
    flags = {flag: number or 0 for flag, number in zip(Flag, found, strict=True)}
    return flags | {Flag.STUCK: stuck}


def _times_since(queries: Queries, since: dt.datetime) -> dict[str, Durations]:
    rows = queries.ask(
        "SELECT 'order', duration_ms, count(*) FROM orders"
        " WHERE started >= ? AND duration_ms IS NOT NULL GROUP BY 2"
        " UNION ALL SELECT json_extract(step.value, '$[0]'), json_extract(step.value, '$[2]') AS ms, count(*)"
        " FROM orders, json_each(steps) AS step WHERE started >= ? AND ms IS NOT NULL GROUP BY 1, 2",
        instant(since),
        instant(since),
    )
    counts: dict[tuple[str, int], int] = {}
    for series, ms, count in rows:
        key = (series, rounded(ms))
        counts[key] = counts.get(key, 0) + count
    return group_durations((series, ms, count) for (series, ms), count in counts.items())
