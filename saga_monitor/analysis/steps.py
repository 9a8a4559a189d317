"""Computes how far each step of an order has come and how long it took. Pure."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.choreography import EventClass, Step
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, is_absurd


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"
    CANCELLED = "cancelled"  # the decider cancelled the order before it was created
    SKIPPED = "skipped"  # not done, and no longer needed


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far one step has come.

    `duration_ms`: from the event that starts the step to its answer. `undoing_ms`: the same for its undoing.
    `left_out`: the step has answered, but a wrong clock makes its duration unknown.
    """

    step: str
    state: StepState
    duration_ms: int | None = None
    undoing_ms: int | None = None
    left_out: bool = False


def step_progress(saga: EventsOfSaga, step: Step, wrong: Collection[str] = ()) -> StepProgress:
    """Evaluates one step. `wrong`: the speakers with wrong clocks, whose events have no time in `saga`."""
    forward = _answer(saga, step)
    back = saga.first(step.undone)
    duration_ms = _took(saga, forward, step.after)
    return StepProgress(
        step=step.service,
        state=_cancelled(saga, step) if saga.cancelled else _undecided(saga, step),
        duration_ms=duration_ms,
        undoing_ms=_took(saga, back, CHOREOGRAPHY.cancelled),
        left_out=duration_ms is None and _by_a_wrong_clock(saga, forward, step.after, wrong),
    )


def elapsed_ms(start: dt.datetime | None, end: dt.datetime | None) -> int | None:
    """Milliseconds between two instants, None when one is unknown, 0 when two clocks disagree."""
    return max(0, (end - start) // dt.timedelta(milliseconds=1)) if start and end else None


def _undecided(saga: EventsOfSaga, step: Step) -> StepState:
    if saga.reached(step):
        return StepState.DONE
    if saga.refused(step):
        return StepState.REFUSED
    called = saga.said(step.after) or (step.service == CHOREOGRAPHY.decider and saga.must_be_cancelled)
    if called:
        return StepState.RUNNING
    return StepState.SKIPPED if saga.must_be_cancelled else StepState.WAITING


def _cancelled(saga: EventsOfSaga, step: Step) -> StepState:
    if step.service == CHOREOGRAPHY.decider:
        return StepState.UNDONE if saga.said(step.success) else StepState.CANCELLED
    answered = saga.answer(step.service, CHOREOGRAPHY.cancelled) is not None
    if step.undone is None:
        return StepState.DONE if answered else StepState.RUNNING
    if not answered:
        return StepState.UNDOING
    if saga.refused(step):
        return StepState.REFUSED
    return StepState.UNDONE if saga.reached(step) else StepState.SKIPPED


def _answer(saga: EventsOfSaga, step: Step) -> HeardEvent | None:
    # The last step answers both decisions; its answer to the creation comes first.
    decisions = (CHOREOGRAPHY.created, CHOREOGRAPHY.cancelled)
    if step.after in decisions:
        return next((answer for d in decisions if (answer := saga.answer(step.service, d))), None)
    return saga.first(step.success, step.refusal)


def _by_a_wrong_clock(
    saga: EventsOfSaga, answer: HeardEvent | None, called_by: EventClass, wrong: Collection[str]
) -> bool:
    call = (saga.cause(answer) or saga.first(called_by)) if answer else None
    return any(event is not None and event.service in wrong for event in (answer, call))


def _took(saga: EventsOfSaga, answer: HeardEvent | None, called_by: EventClass) -> int | None:
    if answer is None:
        return None
    call = saga.cause(answer) or saga.first(called_by)
    # The duration is unknown when the clock of the event's sender is days behind.
    if call is None or is_absurd(call.type, call.time, answer.time):
        return None
    return elapsed_ms(call.time, answer.time)
