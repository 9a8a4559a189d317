"""The report on each order: how it ended, how long it and its steps took, what was undone, what went wrong."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import StepState
from saga_monitor.projection.queries import Order, Queries
from saga_monitor.projection.report_queries import dead_letter_reasons, event_reasons, numbers_placed
from saga_monitor.reports.report import rfc3339, success

PAGE = 500


def as_given(reason: str, detail: str) -> str:
    """A dead letter's reason and detail as the worker wrote them: for a program."""
    return f"{reason} ({detail})" if detail else reason


def answered_within(undoing_ms: Iterable[int | None]) -> int | None:
    """How long (ms) after the cancellation the last undoing was answered; None while one is missing."""
    known = list(undoing_ms)
    return max((ms for ms in known if ms is not None), default=None) if None not in known else None


def order_reports(
    queries: Queries,
    now: dt.datetime,
    since: dt.datetime | None = None,
    limit: int | None = None,
    why: Callable[[str, str], str] = as_given,
) -> Iterator[dict[str, Any]]:
    """One report per order, in the order in which they began. Streams: never holds all of them in memory.

    `why`: puts a dead letter's reason and detail into words.
    """
    after, left = 0, limit
    while left is None or left > 0:
        numbers = numbers_placed(queries, after, since, PAGE if left is None else min(PAGE, left))
        if not numbers:
            return
        yield from _reports(queries, queries.numbered(numbers, now), why)
        after, left = numbers[-1], None if left is None else left - len(numbers)


def order_report(queries: Queries, order: Order, why: Callable[[str, str], str] = as_given) -> dict[str, Any]:
    return next(_reports(queries, [order], why))


def _reports(
    queries: Queries, orders: Sequence[Order], why: Callable[[str, str], str]
) -> Iterator[dict[str, Any]]:
    errors = _errors(queries, [order.commande_id for order in orders], why)
    for order in orders:
        steps = {step.step: step.duration_ms for step in order.steps}
        known = [ms for ms in steps.values() if ms is not None]
        yield {
            "commande_id": order.commande_id,
            "state": order.state,
            "success": success(order.state),
            "started": rfc3339(order.started),
            "duration_ms": order.duration_ms,
            "steps_ms": steps,
            "mean_step_ms": round(sum(known) / len(known), 1) if known else None,
            "compensations": [step.step for step in order.steps if step.state is StepState.UNDONE],
            "retries": order.retries,
            "error": errors.get(order.commande_id),
        }


def _errors(queries: Queries, ids: Sequence[str], why: Callable[[str, str], str]) -> dict[str, str]:
    """By order, the reason of its first refusal, else of its cancellation, else of its first dead letter."""
    letters = dead_letter_reasons(queries, ids)
    errors: dict[str, str] = {id_: f"{service}: {why(reason, detail)}" for id_, service, reason, detail in letters}
    said = event_reasons(queries, ids)
    errors |= {id_: raison for id_, type_, raison in said if type_ == CHOREOGRAPHY.cancelled.TYPE}
    errors |= {id_: raison for id_, type_, raison in said if type_ in CHOREOGRAPHY.refusal_types}
    return errors


def flat(report: dict[str, Any]) -> dict[str, Any]:
    """The report as one row: a column per step, lists as words separated by spaces."""
    steps = {f"{step}_ms": ms for step, ms in report["steps_ms"].items()}
    rest = {name: value for name, value in report.items() if name not in {"steps_ms", "compensations", "error"}}
    tail = {"compensations": " ".join(report["compensations"]), "error": report["error"]}
    return rest | steps | tail


# The columns of `flat`; an empty table has them too.
COLUMNS = (
    *("commande_id", "state", "success", "started", "duration_ms", "mean_step_ms", "retries"),
    *(f"{service}_ms" for service in CHOREOGRAPHY.services),
    *("compensations", "error"),
)


def metrics(whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The report on all orders as rows of two columns, such as `duration_ms.p50`, 580."""
    for name, value in whole.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", found) for inner, found in metrics(value))
        else:
            yield name, value
