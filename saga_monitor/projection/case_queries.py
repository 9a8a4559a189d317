"""Queries for trouble: the instances to examine, and what is known about each."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from choregraphie.saga.envelope import Instance
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.interventions import answered, is_among
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.projection import sampling
from saga_monitor.projection.counters import REASONS, Histogram, histogram
from saga_monitor.projection.indexes import AMONG_SAGAS, has
from saga_monitor.projection.messages import DEAD_LETTER, HEARD, RETRY, dead_letter_of, heard_of, retry_of
from saga_monitor.projection.models import LastHeard, SagaSummary
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.sampling import Cutoffs, not_sent_back, refusals_of
from saga_monitor.projection.schema import OF_INSTANCES, instant, moment

# More than a person can read. Instances beyond this number are counted, not examined.
LOOKED_AT = 500
_BEGINNING_OF_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LETTERS = (
    f"SELECT {DEAD_LETTER}, state"  # noqa: S608 - constants
    " FROM dead_letters AS letter LEFT JOIN instances USING (saga, key)"
)
_LETTERS_AT = f'{_LETTERS} WHERE "offset" IN (SELECT value FROM json_each(?)) ORDER BY "offset" DESC'  # noqa: S608 - a constant
_LETTERS_OF_INSTANCES = (
    f"SELECT {DEAD_LETTER} FROM dead_letters AS letter"  # noqa: S608 - constants
    f' WHERE {OF_INSTANCES} AND {not_sent_back("?2")} ORDER BY "offset"'
)
_FLAGGED = (Flag.CONTRADICTION, Flag.NOT_ALLOWED, Flag.REPEATED_START, Flag.INTERVENTION)


@dataclass(frozen=True, slots=True)
class Case:
    """One instance, its events, and its open retries and dead letters: those neither answered nor sent back since.

    `similar`: how many more instances wait in the same way and were not examined.
    """

    summary: SagaSummary
    heard: EventsOfSaga
    retries: tuple[Retry, ...]
    dead_letters: tuple[DeadLetter, ...]
    similar: int = 0


@dataclass(frozen=True, slots=True)
class UntrustedEvent:
    """An event that no service acts on: by another speaker's exchange, or without a valid signature of its own."""

    exchange: str
    type: str
    source: str
    saga: str | None
    key: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """`effect`'s clock is behind `cause`'s by `worst_ms` or more. `saga`, `key`: of an instance that shows it."""

    cause: str
    effect: str
    worst_ms: int
    saga: str
    key: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class SampledLetter:
    """A dead letter that stands for `similar` more. `undone`: its instance was cancelled and undone since."""

    letter: DeadLetter
    similar: int
    undone: bool


def cases(queries: Queries, silent_for: float, now: dt.datetime, marks: Cutoffs) -> list[Case]:
    """The instances that may have a problem: flagged, silent in flight for `silent_for` seconds, or being retried.

    Of very many instances a sample is examined: one of each group that waits for the same step and that `marks` do
    not separate. It stands for the others.
    """
    flagged = {one.number: one for flag in _FLAGGED for one in queries.flagged(flag, LOOKED_AT, now)}
    until = now - dt.timedelta(seconds=silent_for)
    similar = sampling.sample_waiting(queries, until, now, marks, flagged, LOOKED_AT)
    waiting = queries.numbered(list(similar), now)
    return _with_evidence(queries, [*flagged.values(), *waiting], similar)


def case(queries: Queries, instance: Instance, now: dt.datetime) -> Case | None:
    """That instance, whether it has a problem or not; None when there is none."""
    summary = queries.instance(instance, now)
    return _with_evidence(queries, [summary])[0] if summary else None


def flagged_beyond(queries: Queries, looked_at: Iterable[Case], since: dt.datetime) -> dict[Flag, int]:
    """By flag, how many instances were heard since `since` and not examined; all are older than those examined."""
    seen: dict[Flag, list[SagaSummary]] = {flag: [] for flag in _FLAGGED}
    for case in looked_at:
        for flag in seen.keys() & set(case.summary.flags):
            seen[flag].append(case.summary)
    return {
        flag: _heard_before(queries, flag, min(one.last_offset for one in instances), since)
        if len(instances) >= LOOKED_AT
        else 0
        for flag, instances in seen.items()
    }


def _heard_before(queries: Queries, flag: Flag, offset: int, since: dt.datetime) -> int:
    question = (
        f"SELECT count(*) FROM instances WHERE {has(flag)} AND last_offset < ? AND heard >= ? AND {AMONG_SAGAS}"  # noqa: S608
    )
    return int(queries.ask(question, offset, instant(since), json.dumps(queries.names_of(None)))[0][0])


def last_heard(queries: Queries) -> dict[str, LastHeard]:
    rows = queries.ask('SELECT service, "offset", at FROM last_heard')
    return {service: LastHeard(offset, moment(at) or _BEGINNING_OF_TIME) for service, offset, at in rows}


def untrusted_events(queries: Queries, since: dt.datetime) -> list[UntrustedEvent]:
    rows = queries.ask(
        "SELECT exchange, type, source, saga, key, at FROM untrusted_events WHERE at >= ?"
        ' ORDER BY "offset" DESC LIMIT ?',
        instant(since),
        LOOKED_AT,
    )
    return [
        UntrustedEvent(exchange, type_, source, saga, key, moment(at) or since)
        for exchange, type_, source, saga, key, at in rows
    ]


def clock_skews(queries: Queries, since: dt.datetime) -> list[ClockSkew]:
    rows = queries.ask(
        "SELECT cause, effect, worst_ms, saga, key, at FROM skews WHERE at >= ? ORDER BY worst_ms DESC",
        instant(since),
    )
    return [
        ClockSkew(cause, effect, ms, saga, key, moment(at) or since) for cause, effect, ms, saga, key, at in rows
    ]


def newest_dead_letters(
    queries: Queries, service: str, count: int | None, since: dt.datetime = _BEGINNING_OF_TIME
) -> list[SampledLetter]:
    """The `count` newest dead letters of a service, or all since `since`; of very many, some of each reason."""
    similar = sampling.sample_dead_letters(
        queries, service, since, -1 if count is None else count, REASONS, LOOKED_AT
    )
    rows = queries.ask(_LETTERS_AT, json.dumps(list(similar)))
    letters = [(dead_letter_of(row), state == State.COMPENSATED) for *row, state in rows]
    return [SampledLetter(letter, similar[letter.offset], undone) for letter, undone in letters]


def retries_under_way(queries: Queries, service: str, since: dt.datetime) -> int:
    """How many messages of a service may wait for another try: those due since `since`, of the newest retries."""
    ((known,),) = queries.ask(
        'SELECT count(*) FROM (SELECT * FROM retries ORDER BY "offset" DESC LIMIT 10000)'
        " WHERE service = ? AND max(coalesce(next, at), at) >= ?",
        service,
        instant(since),
    )
    return int(known)


def step_spreads(queries: Queries) -> dict[tuple[str, str], Histogram]:
    """How long each step and each undoing took, by saga and name of the counters (`step.stock`, `undo.stock`)."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for saga, name, value in queries.ask(
        "SELECT saga, name, value FROM counters WHERE name GLOB 'step*' OR name GLOB 'undo*'"
    ):
        counts[saga][name] = value
    names = [
        (saga, f"{kind}.{step.name}") for saga in queries.sagas for kind in ("step", "undo") for step in saga.steps
    ]
    return {(saga.name, name): histogram(counts[saga.name], name) for saga, name in names}


def _with_evidence(
    queries: Queries, summaries: Sequence[SagaSummary], similar: Mapping[int, int] | None = None
) -> list[Case]:
    events = _events(queries, [one.number for one in summaries])
    among = json.dumps([one.instance for one in summaries])
    retries, letters = _retries(queries, among), _dead_letters(queries, among)
    found = []
    for one in summaries:
        heard = EventsOfSaga(queries.sagas.by_name[one.saga], events[one.number])
        over = answered(heard)
        found.append(
            Case(
                one,
                heard,
                tuple(retry for retry in retries[one.instance] if not is_among(over, retry)),
                tuple(letter for letter in letters[one.instance] if not is_among(over, letter)),
                (similar or {}).get(one.number, 0),
            )
        )
    return found


def _events(queries: Queries, numbers: Sequence[int]) -> dict[int, list[HeardEvent]]:
    events: dict[int, list[HeardEvent]] = defaultdict(list)
    question = f"SELECT number, {HEARD} FROM said WHERE number IN (SELECT value FROM json_each(?))"  # noqa: S608
    for number, *row in queries.ask(question, json.dumps(numbers)):
        events[number].append(heard_of(row))
    return events


def _retries(queries: Queries, among: str) -> dict[Instance, list[Retry]]:
    found: dict[Instance, list[Retry]] = defaultdict(list)
    question = f'SELECT {RETRY} FROM retries WHERE {OF_INSTANCES} ORDER BY "offset"'  # noqa: S608 - constants
    for retry in map(retry_of, queries.ask(question, among)):
        found[Instance(retry.saga or "", retry.key or "")].append(retry)
    return found


def _dead_letters(queries: Queries, among: str) -> dict[Instance, list[DeadLetter]]:
    found: dict[Instance, list[DeadLetter]] = defaultdict(list)
    for letter in map(dead_letter_of, queries.ask(_LETTERS_OF_INSTANCES, among, refusals_of(queries.sagas))):
        found[Instance(letter.saga or "", letter.key or "")].append(letter)
    return found
