"""The numbers of a report: counts and durations, of all instances or of those since a moment."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection.counters import UNKNOWN_FORGOTTEN, bounded, left_out
from saga_monitor.projection.durations import WHOLE, Durations, group_durations, rounded
from saga_monitor.projection.indexes import has, held_now, stuck_now
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant


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


def aggregates_of_all(queries: Queries, now: dt.datetime, saga: str | None = None) -> Aggregates:
    """Aggregates of all instances. Reads only the totals, so it takes as long for ten as for a million."""
    totals = queries.totals(now, saga=saga)
    return Aggregates(
        states={state: totals.state(state) for state in State},
        flags={flag: totals.flag(flag) for flag in Flag},
        times=queries.times(saga),
        events=totals.count("events"),
        retries=totals.count("retries"),
        dead_letters={reason: n for reason, n in totals.named("dead.").items() if n},
        left_out={series: n for series, n in totals.named("left_out.").items() if n},
        duplicates=totals.count("duplicates"),
        ignored=totals.named("ignored."),
        unknown_forgotten=totals.count(UNKNOWN_FORGOTTEN),
    )


def aggregates_since(
    queries: Queries, since: dt.datetime, now: dt.datetime, stuck_after: float, saga: str | None = None
) -> Aggregates:
    """Aggregates of the instances that began at `since` or later, with all their events, whenever they were said.

    Keys without a beginning count when they were last heard at `since` or later.
    """
    span = _Span(queries, since, json.dumps(queries.names_of(saga)))
    rows = span.ask("SELECT state, count(*), sum(retries) FROM instances WHERE {recent} GROUP BY state")
    ((events,),) = span.ask("SELECT count(*) FROM said JOIN instances USING (number) WHERE {recent}")
    return Aggregates(
        states=dict.fromkeys(State, 0) | {State(state): count for state, count, _ in rows},
        flags=_flags_since(span, now, stuck_after),
        times=_times_since(span),
        events=events,
        retries=sum(retries for *_, retries in rows),
        dead_letters=_dead_letters_since(span),
        left_out=_left_out_since(span),
    )


# The conditions are constants; their values are bound as the first two.
_RECENT = "coalesce(started, heard) >= ?1 AND saga IN (SELECT value FROM json_each(?2))"
_STARTED = "started >= ?1 AND saga IN (SELECT value FROM json_each(?2))"


@dataclass(frozen=True, slots=True)
class _Span:
    """The instances of `sagas` (names, as JSON) since a moment."""

    queries: Queries
    since: dt.datetime
    sagas: str

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """`{recent}` and `{started}` in the question stand for these instances; more values follow as ?3, …"""
        asked = question.format(recent=_RECENT, started=_STARTED)
        return self.queries.ask(asked, instant(self.since), self.sagas, *values)


def _left_out_since(span: _Span) -> dict[str, int]:
    counts = Counter[str]()
    rows = span.ask("SELECT steps, state, duration_ms FROM instances WHERE {started} AND instr(steps, 'true') > 0")
    for steps, state, duration_ms in rows:
        counts.update(left_out(json.loads(steps), state, duration_ms))
    return {name.removeprefix("left_out."): number for name, number in sorted(counts.items())}


def _dead_letters_since(span: _Span) -> dict[str, int]:
    counts = Counter[str]()
    for reason, count in span.ask(
        "SELECT reason, count(*) FROM dead_letters JOIN instances USING (saga, key) WHERE {recent} GROUP BY 1"
    ):
        counts[bounded(reason)] += count
    return dict(sorted(counts.items()))


def _flags_since(span: _Span, now: dt.datetime, stuck_after: float) -> dict[Flag, int]:
    sums = ", ".join(f"sum({has(flag)})" for flag in Flag)
    found = span.ask(f"SELECT {sums} FROM instances WHERE flags != '[]' AND {{recent}}")[0]  # noqa: S608 - constants
    silent = instant(now - dt.timedelta(seconds=stuck_after))
    by_the_clock = (
        f"SELECT count(*) FILTER (WHERE {stuck_now('?3', '?4')}),"  # noqa: S608 - constants
        f" count(*) FILTER (WHERE {held_now('?4')}) FROM instances WHERE at_rest = 0 AND {{recent}}"
    )
    ((stuck, held),) = span.ask(by_the_clock, silent, span.queries.held(now).as_json)
    flags = {flag: number or 0 for flag, number in zip(Flag, found, strict=True)}
    return flags | {Flag.STUCK: stuck, Flag.HELD: held}


def _times_since(span: _Span) -> dict[str, Durations]:
    rows = span.ask(
        "SELECT ?3, duration_ms, count(*) FROM instances WHERE {started} AND duration_ms IS NOT NULL GROUP BY 2"
        " UNION ALL SELECT json_extract(step.value, '$[0]'), json_extract(step.value, '$[2]') AS ms, count(*)"
        " FROM instances, json_each(steps) AS step WHERE {started} AND ms IS NOT NULL GROUP BY 1, 2",
        WHOLE,
    )
    counts: dict[tuple[str, int], int] = {}
    for series, ms, count in rows:
        key = (series, rounded(ms))
        counts[key] = counts.get(key, 0) + count
    return group_durations((series, ms, count) for (series, ms), count in counts.items())
