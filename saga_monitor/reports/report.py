"""What `list`, `show` and `report` say, as values that a program can read."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Flag, State, has_beginning
from saga_monitor.projection import durations
from saga_monitor.projection.aggregates import Aggregates, aggregates_of_all
from saga_monitor.projection.durations import Durations
from saga_monitor.projection.queries import Order, Queries, RecordedEvent
from saga_monitor.projection.unknown_events import UnknownEvent

# The outcome of an order by its state. A refused order will be cancelled, so it has failed from the refusal on.
SUCCEEDED = (State.COMPLETED,)
FAILED = (State.FAILED, State.COMPENSATING, State.COMPENSATED)
IN_PROGRESS = (State.NEW, State.RUNNING)
PLACED_STATES = tuple(state for state in State if has_beginning(state))


def summary(order: Order) -> dict[str, Any]:
    """One order, as `list --json` has it."""
    return {
        "commande_id": order.commande_id,
        "state": order.state,
        "flags": list(order.flags),
        "remaining": list(order.remaining),
        "started": rfc3339(order.started),
        "last_heard": rfc3339(order.heard),
        "last_event": order.last_type,
        "duration_ms": order.duration_ms,
        "retries": order.retries,
        "dead_letters": order.dead_letters,
    }


def detail(
    order: Order,
    events: Sequence[RecordedEvent],
    dead_letters: Sequence[DeadLetter],
    unknown: Sequence[UnknownEvent] = (),
    never_begun: str | None = None,
) -> dict[str, Any]:
    """One order with its steps, events and dead letters, as `show --json` has it.

    `never_begun`: for a key that is no order, the words of `without_beginning`.
    """
    return summary(order) | {
        "unknown_order": never_begun,
        "steps": [
            {"step": s.step, "state": s.state, "duration_ms": s.duration_ms, "undoing_ms": s.undoing_ms}
            for s in order.steps
        ],
        "events": [_event(event) for event in events],
        "unknown_events": [
            {"type": u.type, "source": u.source, "time": rfc3339(u.time), "offset": u.offset} for u in unknown
        ],
        "dead_letters_set_aside": [_dead_letter(dead_letter) for dead_letter in dead_letters],
    }


def without_beginning(order: Order, now: dt.datetime, deadline: float) -> str | None:
    """In words, what a key without a beginning is and what becomes of it; None for an order.

    `deadline` (s): how long an order may stay undecided.
    """
    if has_beginning(order.state):
        return None
    over = (now - order.heard).total_seconds() > deadline
    if Flag.NO_BEGINNING in order.flags:
        what = f"services spoke of it, and no {CHOREOGRAPHY.starts.TYPE} was heard"
        return f"{what}; {'over: it has not come in time' if over else 'kept in case it comes'}"
    what = "a cancellation was asked for, and nobody has placed the order"
    return f"{what}; {'over: no such order was placed' if over else 'kept in case the order comes'}"


def whole(queries: Queries, now: dt.datetime, anomalies: int | None = None) -> dict[str, Any]:
    """All orders together."""
    return of_aggregates(aggregates_of_all(queries, now), anomalies)


def of_aggregates(figures: Aggregates, anomalies: int | None = None) -> dict[str, Any]:
    """Many orders together, as `report --json` has it.

    `anomalies`: the number of anomalies now, whether of these orders or not; None when it was not judged.
    `compensations`: orders that were cancelled, whether or not there was something to undo. Durations are those of
    settled orders: to the creation or, if cancelled, to the answer of the last undoing. `times_left_out`: by step
    and for whole orders, how many durations are unknown because a clock is wrong. Durations and percentiles have
    five significant digits.
    """
    states, flags = figures.states, figures.flags
    return {
        "sagas": _sagas(states, flags),
        "unknown_orders": states[State.UNKNOWN],
        "unknown_orders_forgotten": figures.unknown_forgotten,
        "outcomes": _outcomes(states),
        "compensations": states[State.COMPENSATING] + states[State.COMPENSATED],
        "duration_ms": _durations(figures.times.get(durations.ORDER, Durations())),
        "steps": {service: _step(figures.times.get(service, Durations())) for service in CHOREOGRAPHY.services},
        "times_left_out": dict(figures.left_out),
        "events": figures.events,
        "duplicates": figures.duplicates,
        "retries": figures.retries,
        "dead_letters": dict(figures.dead_letters),
        "ignored": None if figures.ignored is None else dict(figures.ignored),
        "repeated_orders": flags[Flag.REPEATED_ORDER],
        "contradictions": flags[Flag.CONTRADICTION],
        "anomalies": anomalies,
    }


def _sagas(states: Mapping[State, int], flags: Mapping[Flag, int]) -> dict[str, int]:
    sagas = {"total": sum(states[state] for state in PLACED_STATES)}
    sagas |= {state.lower(): states[state] for state in PLACED_STATES}
    return sagas | {flag.lower(): flags[flag] for flag in (Flag.STUCK, Flag.INTERVENTION)}


def success(state: State) -> bool | None:
    """Whether an order in this state has succeeded; None while it is not decided."""
    return None if state in IN_PROGRESS or not has_beginning(state) else state in SUCCEEDED


def rfc3339(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outcomes(states: Mapping[State, int]) -> dict[str, float | None]:
    """Shares are percentages of all orders; None when there are no orders."""
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
