"""Computes how far each step of an instance has come and how long it took. Pure."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.choreography import Choreography, EventClass, Step
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, is_absurd

_MILLISECOND = dt.timedelta(milliseconds=1)


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"
    CANCELLED = "cancelled"  # the decider cancelled the instance before it was created
    SKIPPED = "skipped"  # not done, and no longer needed


# An answer and then what it answers, each where it was heard; only the answer where its call was not heard.
Span = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepOutline:
    """What the events say of one step, times left out. An event is named by its place among them."""

    step: str
    state: StepState
    forward: Span = ()
    back: Span = ()


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far one step has come; `step`: its name.

    `duration_ms`: from the event that starts the step, the last one of a join, to its answer. `undoing_ms`: the
    same for its undoing.
    `left_out`: the step has answered, but a wrong clock makes its duration unknown.
    """

    step: str
    state: StepState
    duration_ms: int | None = None
    undoing_ms: int | None = None
    left_out: bool = False


def step_outline(saga: EventsOfSaga, step: Step) -> StepOutline:
    """Evaluates one step, but for its times."""
    return StepOutline(
        step=step.name,
        state=_cancelled(saga, step) if saga.cancelled else _undecided(saga, step),
        forward=_span(saga, _answer(saga, step), step.awaits),
        back=_span(saga, saga.first(step.undone), (step.undo or saga.choreography.cancelled,)),
    )


def timed(
    choreography: Choreography, outline: StepOutline, events: Sequence[HeardEvent], wrong: Collection[str]
) -> StepProgress:
    """How long the step of `outline` took, by the times of these `events`.

    `wrong`: the speakers with wrong clocks, whose events have no time.
    """
    forward = [events[place] for place in outline.forward]
    duration_ms = _took(choreography, forward)
    return StepProgress(
        outline.step,
        outline.state,
        duration_ms,
        _took(choreography, [events[place] for place in outline.back]),
        left_out=duration_ms is None and any(event.service in wrong for event in forward),
    )


def elapsed_ms(start: dt.datetime | None, end: dt.datetime | None) -> int | None:
    """Milliseconds between two instants, None when one is unknown, 0 when two clocks disagree."""
    return max(0, (end - start) // _MILLISECOND) if start and end else None


def _undecided(saga: EventsOfSaga, step: Step) -> StepState:
    if saga.reached(step):
        return StepState.DONE
    if saga.refused(step):
        return StepState.REFUSED
    if not saga.missing(step) or (step is saga.choreography.decision and saga.must_be_cancelled):
        return StepState.RUNNING
    return StepState.SKIPPED if saga.must_be_cancelled else StepState.WAITING


def _cancelled(saga: EventsOfSaga, step: Step) -> StepState:
    if step is saga.choreography.decision:
        return StepState.UNDONE if saga.said(step.success) else StepState.CANCELLED
    if step.undone is None:
        return _not_undone(saga, step)
    if step not in saga.choreography.undoings_due(saga.types):
        return StepState.SKIPPED
    if not saga.said(step.undone):
        return _before_its_undoing(saga, step) if step.undo and not saga.said(step.undo) else StepState.UNDOING
    if saga.refused(step):
        return StepState.REFUSED
    return StepState.UNDONE if saga.reached(step) else StepState.SKIPPED


def _before_its_undoing(saga: EventsOfSaga, step: Step) -> StepState:
    """An orchestrator asks for one undoing after another: until then, what was done stands."""
    if saga.reached(step):
        return StepState.DONE
    return StepState.REFUSED if saga.refused(step) else StepState.RUNNING


def _not_undone(saga: EventsOfSaga, step: Step) -> StepState:
    """A step without an undoing: its service corrects what was done, or leaves it as it is."""
    reaction = saga.choreography.reaction(step.service, saga.choreography.cancelled.TYPE)
    if reaction and reaction.says:
        answered = saga.answer(step.service, saga.choreography.cancelled) is not None
        return StepState.DONE if answered else StepState.RUNNING
    if saga.reached(step):
        return StepState.DONE
    return StepState.REFUSED if saga.refused(step) else StepState.SKIPPED


def _answer(saga: EventsOfSaga, step: Step) -> HeardEvent | None:
    # The last step answers both decisions; its answer to the creation comes first.
    decisions = (saga.choreography.created, saga.choreography.cancelled)
    if any(decision in step.awaits for decision in decisions):
        return next((answer for d in decisions if (answer := saga.answer(step.service, d))), None)
    return saga.first(step.success, step.refusal)


def _span(saga: EventsOfSaga, answer: HeardEvent | None, awaited: Sequence[EventClass]) -> Span:
    call = saga.call_of(answer, awaited) if answer else None
    return tuple(saga.place(event) for event in (answer, call) if event)


def _took(choreography: Choreography, span: Sequence[HeardEvent]) -> int | None:
    if len(span) < 2:
        return None
    answer, call = span
    # The duration is unknown when the clock of the event's sender is days behind.
    if is_absurd(choreography, call.type, call.time, answer.time):
        return None
    return elapsed_ms(call.time, answer.time)
