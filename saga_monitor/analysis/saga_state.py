"""Judges where an order stands (state, flags, what remains) from the set of its events. Pure.

The order in which they are heard, duplicates and clocks make no difference to the state.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.choreography import EventClass
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.clocks import without_wrong_clocks
from saga_monitor.analysis.contradictions import contradictions, not_allowed
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.interventions import GIVEN_UP, needs_a_person
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.steps import StepProgress, StepState, elapsed_ms, step_progress

__all__ = [
    "GIVEN_UP",
    "Flag",
    "HeardEvent",
    "Progress",
    "State",
    "StepProgress",
    "StepState",
    "evaluate",
    "has_beginning",
    "is_stuck",
]


class State(StrEnum):
    NEW = "NEW"  # placed, and no service has answered
    RUNNING = "RUNNING"  # a service has answered, nothing is decided
    FAILED = "FAILED"  # a step has refused, the decision is awaited
    COMPLETED = "COMPLETED"  # created, and not cancelled since
    COMPENSATING = "COMPENSATING"  # cancelled, and some undoing has not answered
    COMPENSATED = "COMPENSATED"  # cancelled, and every undoing has answered
    UNKNOWN = "UNKNOWN"  # events of a key whose beginning was not heard: no order, as far as is known


class Flag(StrEnum):
    INTERVENTION = "INTERVENTION"  # a message was given up and needs a person: see interventions.py
    # Something remains, and nothing was heard for `stuck_after`. This flag alone depends on the clock. Whether the
    # step normally takes longer, and what to do, is decided in diagnosis/anomalies.py.
    STUCK = "STUCK"
    CONTRADICTION = "CONTRADICTION"  # events that cannot all be true: see contradictions.py
    NOT_ALLOWED = "NOT_ALLOWED"  # an event answers something that the choreography does not let it answer
    REPEATED_ORDER = "REPEATED_ORDER"  # a second order came with the same id; it has no effect
    NO_BEGINNING = "NO_BEGINNING"  # a service said something of a key whose start event is not in the history


def has_beginning(state: str) -> bool:
    """Whether an instance in `state` is an order: its start event was heard.

    Anybody can send events of any key. A key without a start event awaits nothing, is counted apart from the
    orders and is forgotten first. It becomes an order when its start event arrives, possibly late: events overtake
    others.
    """
    return state != State.UNKNOWN


# The states of a step whose service has answered. A key without a start event has no other steps.
_ANSWERED = {StepState.DONE, StepState.REFUSED, StepState.UNDONE, StepState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an order stands. `remaining`: wire types of the events still awaited. `flags`: all except STUCK.

    Without a beginning nothing remains, nothing has a time, and `steps` has only those that were answered.

    `duration_ms` runs from the order's beginning to the event that settled it: its creation or, once
    cancelled, the last undoing's answer. It began when it was placed or, where the client's clock is absurd,
    when a service first spoke of it. What a wrong clock has a part in (clocks.py) is None.
    """

    state: State
    steps: tuple[StepProgress, ...]
    remaining: tuple[str, ...]
    flags: tuple[Flag, ...]
    at_rest: bool
    started: dt.datetime | None
    duration_ms: int | None


def evaluate(
    events: Iterable[HeardEvent], set_aside: Sequence[DeadLetter] = (), retried: Sequence[Retry] = ()
) -> Progress:
    """Evaluates an order from its events. The result depends on the set of events, not on their order."""
    saga, wrong = without_wrong_clocks(EventsOfSaga(events))
    steps = tuple(step_progress(saga, step, wrong) for step in CHOREOGRAPHY.steps)
    flags = tuple(_flags(saga, set_aside, retried))
    if not saga.has_beginning:
        answered = tuple(StepProgress(step.step, step.state) for step in steps if step.state in _ANSWERED)
        return Progress(State.UNKNOWN, answered, (), flags, at_rest=True, started=None, duration_ms=None)
    state, remaining = _state(saga), tuple(_remaining(saga))
    return Progress(
        state=state,
        steps=steps,
        remaining=remaining,
        flags=flags,
        at_rest=not remaining and state in {State.COMPLETED, State.COMPENSATED},
        started=saga.started,
        duration_ms=elapsed_ms(saga.started, _settled(saga, state, wrong)),
    )


def is_stuck(at_rest: bool, last_heard: dt.datetime, now: dt.datetime, stuck_after: float) -> bool:
    """Whether an order awaits something and has been silent for more than `stuck_after` seconds."""
    return not at_rest and (now - last_heard).total_seconds() > stuck_after


def _state(saga: EventsOfSaga) -> State:
    if saga.cancelled:
        return State.COMPENSATED if saga.undone else State.COMPENSATING
    if saga.said(CHOREOGRAPHY.created):
        return State.COMPLETED
    if saga.refusal:
        return State.FAILED
    return State.RUNNING if saga.service_answered else State.NEW


def _remaining(saga: EventsOfSaga) -> Iterator[str]:
    if saga.must_be_cancelled:
        # A requested cancellation is always carried out, even after the creation, so its consequences are awaited.
        if not saga.cancelled:
            yield CHOREOGRAPHY.cancelled.TYPE
        yield from _unanswered(saga, CHOREOGRAPHY.cancelled)
    elif saga.said(CHOREOGRAPHY.created):
        yield from _unanswered(saga, CHOREOGRAPHY.created)
    else:
        yield from (step.success.TYPE for step in CHOREOGRAPHY.steps if not saga.reached(step))


def _unanswered(saga: EventsOfSaga, decision: EventClass) -> Iterator[str]:
    """Wire types of the events that must still answer `decision`."""
    for service in CHOREOGRAPHY.services:
        reaction = CHOREOGRAPHY.reaction(service, decision.TYPE)
        if reaction and reaction.says and not saga.answer(service, decision):
            yield reaction.says[0].TYPE


def _flags(saga: EventsOfSaga, set_aside: Sequence[DeadLetter], retried: Sequence[Retry]) -> Iterator[Flag]:
    if needs_a_person(saga, set_aside, retried):
        yield Flag.INTERVENTION
    if contradictions(saga):
        yield Flag.CONTRADICTION
    if not_allowed(saga):
        yield Flag.NOT_ALLOWED
    if len(saga.identities(CHOREOGRAPHY.starts)) > 1:
        yield Flag.REPEATED_ORDER
    if saga.service_answered and not saga.has_beginning:
        yield Flag.NO_BEGINNING


def _settled(saga: EventsOfSaga, state: State, wrong: Collection[str]) -> dt.datetime | None:
    if state is State.COMPLETED:
        created = saga.first(CHOREOGRAPHY.created)
        return created.time if created else None
    if state is not State.COMPENSATED:
        return None
    wanted = (CHOREOGRAPHY.cancelled, *(step.undone for step in CHOREOGRAPHY.undoings))
    last = [event for said in wanted if (event := saga.first(said))]
    if any(event.service in wrong for event in last):
        return None  # it may be the one that settled the order
    times = [event.time for event in last if event.time]
    return max(times, default=None)
