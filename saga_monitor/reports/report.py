"""What `list`, `show` and `report` say, as values that a program can read."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.anomaly import Anomaly
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag, State, has_beginning
from saga_monitor.diagnosis.grouping import how_many, of_saga
from saga_monitor.projection import durations
from saga_monitor.projection.aggregates import Aggregates
from saga_monitor.projection.durations import Durations
from saga_monitor.projection.queries import RecordedEvent, SagaSummary
from saga_monitor.projection.unknown_events import UnknownEvent

# The outcome of an instance by its state. A refused one will be cancelled, so it has failed from the refusal on.
SUCCEEDED = (State.COMPLETED,)
FAILED = (State.FAILED, State.COMPENSATING, State.COMPENSATED)
IN_PROGRESS = (State.NEW, State.RUNNING)
PLACED_STATES = tuple(state for state in State if has_beginning(state))


def identified(sagas: SagaSet, saga: str | None, key: str | None) -> dict[str, Any]:
    """The fields that say which instance something is about: its key, under the name that its saga gives it."""
    return {sagas.key_of(saga): key, "saga": saga}


def key_in(fields: Mapping[str, Any], sagas: SagaSet) -> str:
    """The key in an object that has the fields of `identified`."""
    return str(fields[sagas.key_of(fields["saga"])])


def field_name(noun: str) -> str:
    """A noun as a part of a field's name."""
    return noun.replace(" ", "_")


def summary(instance: SagaSummary, sagas: SagaSet) -> dict[str, Any]:
    """One instance, as `list --json` has it."""
    return identified(sagas, instance.saga, instance.key) | {
        "state": instance.state,
        "flags": list(instance.flags),
        "remaining": list(instance.remaining),
        "started": rfc3339(instance.started),
        "last_heard": rfc3339(instance.heard),
        "last_event": instance.last_type,
        "duration_ms": instance.duration_ms,
        "retries": instance.retries,
        "dead_letters": instance.dead_letters,
    }


def detail(
    instance: SagaSummary,
    sagas: SagaSet,
    events: Sequence[RecordedEvent],
    dead_letters: Sequence[DeadLetter],
    unknown: Sequence[UnknownEvent] = (),
    never_begun: str | None = None,
) -> dict[str, Any]:
    """One instance with its steps, events and dead letters, as `show --json` has it.

    `never_begun`: for a key that is no instance, the words of `without_beginning`.
    """
    return summary(instance, sagas) | {
        f"unknown_{field_name(sagas.noun_of(instance.saga)[0])}": never_begun,
        "steps": [
            {"step": s.step, "state": s.state, "duration_ms": s.duration_ms, "undoing_ms": s.undoing_ms}
            for s in instance.steps
        ],
        "events": [_event(event) for event in events],
        "unknown_events": [
            {"type": u.type, "source": u.source, "time": rfc3339(u.time), "offset": u.offset} for u in unknown
        ],
        "dead_letters_set_aside": [_dead_letter(dead_letter) for dead_letter in dead_letters],
    }


def without_beginning(
    instance: SagaSummary, choreography: Choreography, now: dt.datetime, deadline: float
) -> str | None:
    """In words, what a key without a beginning is and what becomes of it; None for an instance.

    `deadline` (s): how long an instance may stay undecided.
    """
    if has_beginning(instance.state):
        return None
    over = (now - instance.heard).total_seconds() > deadline
    if Flag.NO_BEGINNING in instance.flags:
        what = f"services spoke of it, and no {choreography.starts.TYPE} was heard"
        return f"{what}; {'over: it has not come in time' if over else 'kept in case it comes'}"
    noun = choreography.noun[0]
    what = f"a cancellation was asked for, and no such {noun} has begun"
    return f"{what}; {f'over: no such {noun} came in time' if over else f'kept in case the {noun} comes'}"


def whole(
    sagas: SagaSet,
    figures: Callable[[str | None], Aggregates],
    anomalies: Sequence[Anomaly] | None = None,
    saga: str | None = None,
) -> dict[str, Any]:
    """All instances together, as `report --json` has it: of `saga`, or of all; then also saga by saga.

    `figures`: the aggregates of the saga of that name, or of all. `anomalies`: those now, whether of these
    instances or not; None when it was not judged. Those of no saga count in each.
    """
    told = _of_aggregates(sagas.only(saga), figures(saga), _number(anomalies, saga))
    if saga is None and sagas.several:
        told["by_saga"] = {
            name: _of_aggregates(sagas.only(name), figures(name), _number(anomalies, name))
            for name in sagas.by_name
        }
    return told


def _number(anomalies: Sequence[Anomaly] | None, saga: str | None) -> int | None:
    return None if anomalies is None else how_many(of_saga(anomalies, saga))


def _of_aggregates(sagas: SagaSet, figures: Aggregates, anomalies: int | None) -> dict[str, Any]:
    """Many instances together.

    `compensations`: instances that were cancelled, whether or not there was something to undo. Durations are those
    of settled instances: to the creation or, if cancelled, to the answer of the last undoing. `times_left_out`: by
    step and for whole instances, how many durations are unknown because a clock is wrong. Durations and
    percentiles have five significant digits.
    """
    states, flags, many = figures.states, figures.flags, field_name(sagas.noun[1])
    return {
        "sagas": _sagas(states, flags),
        f"unknown_{many}": states[State.UNKNOWN],
        f"unknown_{many}_forgotten": figures.unknown_forgotten,
        "outcomes": _outcomes(states),
        "compensations": states[State.COMPENSATING] + states[State.COMPENSATED],
        "duration_ms": _durations(figures.times.get(durations.WHOLE, Durations())),
        "steps": {step: _step(figures.times.get(step, Durations())) for step in sagas.step_names},
        "times_left_out": dict(figures.left_out),
        "events": figures.events,
        "duplicates": figures.duplicates,
        "retries": figures.retries,
        "dead_letters": dict(figures.dead_letters),
        "ignored": None if figures.ignored is None else dict(figures.ignored),
        f"repeated_{many}": flags[Flag.REPEATED_START],
        "contradictions": flags[Flag.CONTRADICTION],
        "anomalies": anomalies,
    }


def _sagas(states: Mapping[State, int], flags: Mapping[Flag, int]) -> dict[str, int]:
    sagas = {"total": sum(states[state] for state in PLACED_STATES)}
    sagas |= {state.lower(): states[state] for state in PLACED_STATES}
    return sagas | {flag.lower(): flags[flag] for flag in (Flag.HELD, Flag.STUCK, Flag.INTERVENTION)}


def success(state: State) -> bool | None:
    """Whether an instance in this state has succeeded; None while it is not decided."""
    return None if state in IN_PROGRESS or not has_beginning(state) else state in SUCCEEDED


def rfc3339(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outcomes(states: Mapping[State, int]) -> dict[str, float | None]:
    """Shares are percentages of all instances; None when there are no instances."""
    total = sum(states[state] for state in PLACED_STATES)
    outcomes: dict[str, float | None] = {}
    for name, among in (("succeeded", SUCCEEDED), ("failed", FAILED), ("in_progress", IN_PROGRESS)):
        number = sum(states[state] for state in among)
        outcomes |= {name: number, f"{name}_percent": round(100 * number / total, 2) if total else None}
    return outcomes


def _dead_letter(letter: DeadLetter) -> dict[str, Any]:
    names = ("service", "event_id", "source", "type", "reason", "detail", "offset")
    return {name: getattr(letter, name) for name in names}


def _event(event: RecordedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "time": rfc3339(event.time),
        "causationid": event.causationid,
        "offset": event.offset,
        "note": event.note,
    }


def _durations(took: Durations) -> dict[str, float | None]:
    return {
        "count": took.count,
        "total": took.total,
        "mean": took.mean,
        "p50": took.percentile(50),
        "p95": took.percentile(95),
        "p99": took.percentile(99),
        "max": took.max,
    }


def _step(took: Durations) -> dict[str, float | None]:
    return {
        "count": took.count,
        "total_ms": took.total,
        "mean_ms": took.mean,
        "p50_ms": took.percentile(50),
        "p95_ms": took.percentile(95),
        "p99_ms": took.percentile(99),
        "max_ms": took.max,
    }
