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
    CANCELLED = "cancelled"  # of the decider: it has cancelled the order, which it had not created
    SKIPPED = "skipped"  # never done, and not needed any more


@dataclass(frozen=True, slots=True)
class StepProgress:
    """`duration_ms`: from the event that called for the step to its answer; `undoing_ms`: so for the undoing.

    `left_out`: the step has answered, and a wrong clock keeps its time from being known.
    """

    step: str
    state: StepState
    duration_ms: int | None = None
    undoing_ms: int | None = None
    left_out: bool = False


def step_progress(heard: EventsOfSaga, step: Step, wrong: Collection[str] = ()) -> StepProgress:
    """`wrong`: the speakers whose clocks are wrong; their events have no time in `heard`."""
    forward = _answer(heard, step)
    back = heard.first(step.undone)
    duration_ms = _took(heard, forward, step.after)
    return StepProgress(
        step=step.service,
        state=_cancelled(heard, step) if heard.cancelled else _undecided(heard, step),
        duration_ms=duration_ms,
        undoing_ms=_took(heard, back, CHOREOGRAPHY.cancelled),
        left_out=duration_ms is None and _by_a_wrong_clock(heard, forward, step.after, wrong),
    )


def elapsed_ms(start: dt.datetime | None, end: dt.datetime | None) -> int | None:
    """Milliseconds between two instants, None when one is unknown, 0 when two clocks disagree."""
    return max(0, (end - start) // dt.timedelta(milliseconds=1)) if start and end else None


def _undecided(heard: EventsOfSaga, step: Step) -> StepState:
    if heard.reached(step):
        return StepState.DONE
    if heard.refused(step):
        return StepState.REFUSED
    called = heard.said(step.after) or (step.service == CHOREOGRAPHY.decider and heard.must_be_cancelled)
    if called:
        return StepState.RUNNING
    return StepState.SKIPPED if heard.must_be_cancelled else StepState.WAITING


def _cancelled(heard: EventsOfSaga, step: Step) -> StepState:
    if step.service == CHOREOGRAPHY.decider:
        return StepState.UNDONE if heard.said(step.success) else StepState.CANCELLED
    answered = heard.answer(step.service, CHOREOGRAPHY.cancelled) is not None
    if step.undone is None:
        return StepState.DONE if answered else StepState.RUNNING
    if not answered:
        return StepState.UNDOING
    if heard.refused(step):
        return StepState.REFUSED
    return StepState.UNDONE if heard.reached(step) else StepState.SKIPPED


def _answer(heard: EventsOfSaga, step: Step) -> HeardEvent | None:
    # The last step speaks of either decision; what it says of the one it is there for comes first.
    decisions = (CHOREOGRAPHY.created, CHOREOGRAPHY.cancelled)
    if step.after in decisions:
        return next((answer for d in decisions if (answer := heard.answer(step.service, d))), None)
    return heard.first(step.success, step.refusal)


def _by_a_wrong_clock(
    heard: EventsOfSaga, answer: HeardEvent | None, called_by: EventClass, wrong: Collection[str]
) -> bool:
    call = (heard.cause(answer) or heard.first(called_by)) if answer else None
    return any(event is not None and event.service in wrong for event in (answer, call))


def _took(heard: EventsOfSaga, answer: HeardEvent | None, called_by: EventClass) -> int | None:
    if answer is None:
        return None
    call = heard.cause(answer) or heard.first(called_by)
    # Nobody knows how long a service took to answer somebody whose clock is days behind.
    if call is None or is_absurd(call.type, call.time, answer.time):
        return None
    return elapsed_ms(call.time, answer.time)
