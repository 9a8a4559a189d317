"""What `list`, `show` and `report` say, as values that a program can read."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.progress import Flag, State
from saga_monitor.queries import DeadLetter, Event, Order, Queries


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


def detail(order: Order, events: Sequence[Event], dead_letters: Sequence[DeadLetter]) -> dict[str, Any]:
    """One order with its steps and all that was said of it, as `show --json` has it."""
    return summary(order) | {
        "steps": [
            {"step": s.step, "state": s.state, "duration_ms": s.duration_ms, "undoing_ms": s.undoing_ms}
            for s in order.steps
        ],
        "events": [_event(event) for event in events],
        "dead_letters_set_aside": [
            {"service": d.service, "event_id": d.event_id, "type": d.type, "reason": d.reason, "detail": d.detail}
            for d in dead_letters
        ],
    }


def whole(queries: Queries, now: dt.datetime) -> dict[str, Any]:
    """Every order together, as `report --json` has it.

    `compensations` counts the orders that were cancelled, whether or not there turned out to be something to
    undo. Durations are of settled orders: to the creation or, once cancelled, to the last undoing's answer.
    """
    totals = queries.totals(now)
    sagas = {"total": totals.orders} | {state.lower(): totals.state(state) for state in State}
    sagas |= {"stuck": totals.flag(Flag.STUCK), "intervention": totals.flag(Flag.INTERVENTION)}
    return {
        "sagas": sagas,
        "compensations": totals.state(State.COMPENSATING) + totals.state(State.COMPENSATED),
        "duration_ms": _durations(queries.durations_ms()),
        "steps": {service: _step(queries.step_durations_ms(service)) for service in CHOREOGRAPHY.services},
        "events": totals.count("events"),
        "duplicates": totals.count("duplicates"),
        "retries": totals.count("retries"),
        "dead_letters": totals.named("dead."),
        "ignored": totals.named("ignored."),
        "repeated_orders": totals.flag(Flag.REPEATED_ORDER),
        "contradictions": totals.flag(Flag.CONTRADICTION),
    }


def percentile(ascending: Sequence[int], hundredths: int) -> int | None:
    """The nearest-rank percentile: the least value that `hundredths` % of them do not exceed; None of none."""
    if not ascending:
        return None
    return ascending[max(0, math.ceil(len(ascending) * hundredths / 100) - 1)]


def rfc3339(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "time": rfc3339(event.time),
        "causationid": event.causationid,
        "offset": event.offset,
        "note": event.note,
    }


def _durations(ascending: Sequence[int]) -> dict[str, float | None]:
    return {
        "mean": _mean(ascending),
        "p50": percentile(ascending, 50),
        "p95": percentile(ascending, 95),
        "p99": percentile(ascending, 99),
        "max": ascending[-1] if ascending else None,
    }


def _step(ascending: Sequence[int]) -> dict[str, float | None]:
    return {"count": len(ascending), "mean_ms": _mean(ascending), "p95_ms": percentile(ascending, 95)}


def _mean(values: Sequence[int]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None
