"""The report on each instance: how it ended, how long it and its steps took, what was undone, what went wrong."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.saga_state import StepState
from saga_monitor.projection.queries import Queries, SagaSummary
from saga_monitor.projection.report_queries import dead_letter_reasons, event_reasons, numbers_placed
from saga_monitor.reports.report import identified, rfc3339, success

PAGE = 500


def as_given(reason: str, detail: str) -> str:
    """A dead letter's reason and detail as the worker wrote them: for a program."""
    return f"{reason} ({detail})" if detail else reason


def answered_within(undoing_ms: Iterable[int | None]) -> int | None:
    """How long (ms) after the cancellation the last undoing was answered; None while one is missing."""
    known = list(undoing_ms)
    return max((ms for ms in known if ms is not None), default=None) if None not in known else None


def instance_reports(
    queries: Queries,
    now: dt.datetime,
    since: dt.datetime | None = None,
    limit: int | None = None,
    why: Callable[[str, str], str] = as_given,
    saga: str | None = None,
) -> Iterator[dict[str, Any]]:
    """One report per instance, in the order in which they began. Streams: never holds all of them in memory.

    `why`: puts a dead letter's reason and detail into words. `saga`: only of the saga of that name.
    """
    after, left = 0, limit
    while left is None or left > 0:
        numbers = numbers_placed(queries, after, since, PAGE if left is None else min(PAGE, left), saga)
        if not numbers:
            return
        yield from _reports(queries, queries.numbered(numbers, now), why)
        after, left = numbers[-1], None if left is None else left - len(numbers)


def instance_report(
    queries: Queries, instance: SagaSummary, why: Callable[[str, str], str] = as_given
) -> dict[str, Any]:
    return next(_reports(queries, [instance], why))


def _reports(
    queries: Queries, instances: Sequence[SagaSummary], why: Callable[[str, str], str]
) -> Iterator[dict[str, Any]]:
    errors = _errors(queries, [one.number for one in instances], why)
    for instance in instances:
        steps = {step.step: step.duration_ms for step in instance.steps}
        known = [ms for ms in steps.values() if ms is not None]
        yield identified(queries.sagas, instance.saga, instance.key) | {
            "state": instance.state,
            "success": success(instance.state),
            "started": rfc3339(instance.started),
            "duration_ms": instance.duration_ms,
            "steps_ms": steps,
            "mean_step_ms": round(sum(known) / len(known), 1) if known else None,
            "compensations": [step.step for step in instance.steps if step.state is StepState.UNDONE],
            "retries": instance.retries,
            "error": errors.get(instance.instance),
        }


def _errors(queries: Queries, numbers: Sequence[int], why: Callable[[str, str], str]) -> dict[Instance, str]:
    """By instance, the reason of its first refusal, else of its cancellation, else of its first dead letter."""
    letters, said = dead_letter_reasons(queries, numbers), event_reasons(queries, numbers)
    errors = {instance: f"{service}: {why(reason, detail)}" for instance, service, reason, detail in letters}
    sagas = queries.sagas.by_name
    errors |= {of: reason for of, type_, reason in said if type_ == sagas[of.saga].cancelled.TYPE}
    return errors | {of: reason for of, type_, reason in said if type_ in sagas[of.saga].refusal_types}


def flat(report: dict[str, Any], sagas: SagaSet) -> dict[str, Any]:
    """The report as one row: a column per step, lists as words separated by spaces. See `columns`."""
    steps = {f"{step}_ms": ms for step, ms in report["steps_ms"].items()}
    key = sagas.key_of(report["saga"])
    rest = {
        name: value for name, value in report.items() if name not in {key, "steps_ms", "compensations", "error"}
    }
    tail = {"compensations": " ".join(report["compensations"]), "error": report["error"]}
    return {sagas.key: report[key]} | rest | steps | tail


def columns(sagas: SagaSet) -> tuple[str, ...]:
    """The columns of `flat`; an empty table has them too. An instance has no value for a step of another saga."""
    return (
        *(sagas.key, "saga", "state", "success", "started", "duration_ms", "mean_step_ms", "retries"),
        *(f"{step}_ms" for step in sagas.step_names),
        *("compensations", "error"),
    )


def metrics(whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The report on all instances as rows of two columns, such as `duration_ms.p50`, 580."""
    for name, value in whole.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", found) for inner, found in metrics(value))
        else:
            yield name, value
