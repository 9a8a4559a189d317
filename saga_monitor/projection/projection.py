"""Applies records to the tables, judges the affected instances again, and updates the totals."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.evaluations import Evaluations
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import Flag, HeardEvent
from saga_monitor.projection import search, signals, time_series
from saga_monitor.projection.dead_letters import keep_copies
from saga_monitor.projection.deltas import Deltas
from saga_monitor.projection.evaluation import Evaluation
from saga_monitor.projection.messages import (
    DEAD_LETTER,
    HEARD,
    RETRY,
    dead_letter_of,
    heard_of,
    keep_events,
    keep_retries_and_letters,
    new_events,
    retry_of,
)
from saga_monitor.projection.schema import EPOCH, INSTANCE_COLUMNS, OF_INSTANCES, instant, moment
from saga_monitor.projection.unknown_events import keep_unknown_events
from saga_monitor.records.parser import EventEntry, IgnoredEntry, Record

# Flags of instances that a person should look at first, besides stuck instances.
_offset = attrgetter("offset")
_URGENT = {Flag.INTERVENTION, Flag.CONTRADICTION}

# An update and not a replacement, so that only the indexes of changed columns are written.
_KEEP_INSTANCE = "INSERT INTO instances VALUES ({}) ON CONFLICT (number) DO UPDATE SET {}".format(  # noqa: S608
    ", ".join("?" for _ in INSTANCE_COLUMNS),
    ", ".join(f"{name} = excluded.{name}" for name in INSTANCE_COLUMNS[3:]),
)


@dataclass(slots=True)
class _Changed:
    """An instance that this batch changes. `said`: the events of the batch; `events`: all that are kept."""

    number: int | None = None
    said: list[EventEntry] = field(default_factory=list)
    events: list[HeardEvent] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    heard: int = 0
    waits_until: int = 0
    last_offset: int = 0
    named: list[str] = field(default_factory=list)
    before: Evaluation | None = None


def apply_records(
    connection: sqlite3.Connection, sagas: SagaSet, records: Sequence[Record], evaluations: Evaluations
) -> list[Instance]:
    """Applies `records`, within the caller's transaction. Returns the instances that they concern, in order."""
    changed = _by_instance(records)
    _load_rows(connection, changed)
    _load_events(connection, [one for one in changed.values() if one.before])
    _number_new(connection, changed.values())
    deltas = Deltas(
        counts=keep_retries_and_letters(connection, records), minutes=time_series.record_counts(records)
    )
    _keep_new_events(connection, changed, deltas)
    _load_retries_and_letters(connection, changed)
    _evaluate(connection, sagas, changed, deltas, evaluations)
    deltas.keep(connection)
    keep_unknown_events(connection, records)
    keep_copies(connection, records)
    signals.keep(connection, sagas, records, {instance: one.events for instance, one in changed.items()})
    return list(changed)


def _by_instance(records: Iterable[Record]) -> dict[Instance, _Changed]:
    found: dict[Instance, _Changed] = defaultdict(_Changed)
    for record in records:
        if isinstance(record, IgnoredEntry) or record.saga is None or record.key is None:
            continue
        one = found[Instance(record.saga, record.key)]
        one.last_offset = record.offset
        one.heard = max(one.heard, instant(record.at) or 0)
        if isinstance(record, EventEntry):
            one.said.append(record)
            one.named += record.named
    return dict(found)


def _number_new(connection: sqlite3.Connection, changed: Iterable[_Changed]) -> None:
    """Numbers new instances in their order of arrival, so that those of the same time lie together in the file."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM instances").fetchone()
    for one in changed:
        if one.number is None:
            last += 1
            one.number = last


def _keep_new_events(connection: sqlite3.Connection, changed: Mapping[Instance, _Changed], deltas: Deltas) -> None:
    rows = []
    for instance, one in changed.items():
        if one.said:
            kept, counts = new_events(one.said, one.events)
            one.events += [record.heard for record in kept]
            rows += [(one.number or 0, record) for record in kept]
            for name, value in counts.items():
                deltas.counts[instance.saga, name] += value
    keep_events(connection, rows)


def _evaluate(
    connection: sqlite3.Connection,
    sagas: SagaSet,
    changed: Mapping[Instance, _Changed],
    deltas: Deltas,
    evaluations: Evaluations,
) -> None:
    rows, found = [], {}
    for instance, one in changed.items():
        if one.events:
            choreography = sagas.by_name[instance.saga]
            progress = evaluations.evaluate(choreography, one.events, one.dead_letters, one.retries)
            now = Evaluation.of(progress)
            rows.append(_row(instance, one, now, bool(_URGENT.intersection(progress.flags))))
            deltas.move(choreography, one.before, now)
            began = progress.started or moment(one.heard) or EPOCH
            found[one.number or 0] = search.SearchEntry(instance.key, began.date(), tuple(one.named))
    connection.executemany(_KEEP_INSTANCE, rows)
    search.keep(connection, found, [one.number or 0 for one in changed.values() if one.before])


def _load_rows(connection: sqlite3.Connection, changed: Mapping[Instance, _Changed]) -> None:
    found = connection.execute(
        "SELECT saga, key, number, heard, state, flags, at_rest, steps, remaining, started, duration_ms"  # noqa: S608
        f" FROM instances WHERE {OF_INSTANCES}",
        (json.dumps(list(changed)),),
    )
    for saga, key, number, heard, state, flags, at_rest, steps, *rest in found:
        one = changed[Instance(saga, key)]
        one.number, one.heard = number, max(one.heard, heard)
        one.before = Evaluation(state, flags, bool(at_rest), json.loads(steps), *rest)


def _load_events(connection: sqlite3.Connection, known: Iterable[_Changed]) -> None:
    numbered = {one.number: one for one in known}
    question = f"SELECT number, {HEARD} FROM said WHERE number IN (SELECT value FROM json_each(?))"  # noqa: S608
    for number, *row in connection.execute(question, (json.dumps(list(numbered)),)):
        numbered[number].events.append(heard_of(row))


def _load_retries_and_letters(connection: sqlite3.Connection, changed: Mapping[Instance, _Changed]) -> None:
    among = (json.dumps(list(changed)),)
    for row in connection.execute(f"SELECT {DEAD_LETTER} FROM dead_letters WHERE {OF_INSTANCES}", among):  # noqa: S608 - constants
        letter = dead_letter_of(row)
        one = changed[Instance(letter.saga or "", letter.key or "")]
        one.dead_letters.append(letter)
        one.heard = max(one.heard, instant(letter.at) or 0)
    for row in connection.execute(f"SELECT {RETRY} FROM retries WHERE {OF_INSTANCES}", among):  # noqa: S608 - constants
        retry = retry_of(row)
        one = changed[Instance(retry.saga or "", retry.key or "")]
        one.retries.append(retry)
        one.heard = max(one.heard, instant(retry.at) or 0)
        one.waits_until = max(one.waits_until, instant(retry.next) or 0)


def _row(instance: Instance, one: _Changed, now: Evaluation, urgent: bool) -> tuple[object, ...]:
    return (
        one.number,
        *instance,
        now.state,
        now.flags,
        now.at_rest,
        urgent,
        json.dumps(now.steps),
        now.remaining,
        now.started,
        one.heard,
        max(one.heard, one.waits_until),
        now.duration_ms,
        max(one.events, key=_offset).type,
        one.last_offset,
        len(one.retries),
        len(one.dead_letters),
    )
