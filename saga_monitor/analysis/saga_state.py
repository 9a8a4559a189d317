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
    INTERVENTION = "INTERVENTION"  # a message was given up and calls for a person: the rule is in interventions.py
    # Something remains, and nothing was heard for `stuck_after`; this one needs a clock. What is to be done about
    # it, and whether the step is one that takes longer, anomalies.py tells.
    STUCK = "STUCK"
    CONTRADICTION = "CONTRADICTION"  # facts that cannot all be true: contradictions.py has them
    NOT_ALLOWED = "NOT_ALLOWED"  # a service answered what the choreography does not let it answer so
    REPEATED_ORDER = "REPEATED_ORDER"  # a second order came with a known id; it has no effect
    NO_BEGINNING = "NO_BEGINNING"  # a service speaks of an order whose beginning is not in the history


def has_beginning(state: str) -> bool:
    """Whether an instance in `state` is an order: the event that begins it was heard.

    Anybody can send events of any key, so what has no beginning awaits nothing, is counted apart, and is forgotten
    first. It becomes an order when its beginning is heard, which may be late: events overtake each other.
    """
    return state != State.UNKNOWN


# What a step shows that its service has answered. Of an instance without a beginning no other step is known.
_ANSWERED = {StepState.DONE, StepState.REFUSED, StepState.UNDONE, StepState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Progress:
    """The judgement. `remaining`: wire types of the events still awaited. `flags`: all but STUCK.

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
    """Where the order stands whose events these are. The same set, however given, has the same judgement."""
    heard, wrong = without_wrong_clocks(EventsOfSaga(events))
    steps = tuple(step_progress(heard, step, wrong) for step in CHOREOGRAPHY.steps)
    flags = tuple(_flags(heard, set_aside, retried))
    if not heard.has_beginning:
        answered = tuple(StepProgress(step.step, step.state) for step in steps if step.state in _ANSWERED)
        return Progress(State.UNKNOWN, answered, (), flags, at_rest=True, started=None, duration_ms=None)
    state, remaining = _state(heard), tuple(_remaining(heard))
    return Progress(
        state=state,
        steps=steps,
        remaining=remaining,
        flags=flags,
        at_rest=not remaining and state in {State.COMPLETED, State.COMPENSATED},
        started=heard.started,
        duration_ms=elapsed_ms(heard.started, _settled(heard, state, wrong)),
    )


def is_stuck(at_rest: bool, last_heard: dt.datetime, now: dt.datetime, stuck_after: float) -> bool:
    """Whether something is awaited and nothing has been heard for more than `stuck_after` seconds."""
    return not at_rest and (now - last_heard).total_seconds() > stuck_after


def _state(heard: EventsOfSaga) -> State:
    if heard.cancelled:
        return State.COMPENSATED if heard.undone else State.COMPENSATING
    if heard.said(CHOREOGRAPHY.created):
        return State.COMPLETED
    if heard.refusal:
        return State.FAILED
    return State.RUNNING if heard.service_answered else State.NEW


def _remaining(heard: EventsOfSaga) -> Iterator[str]:
    if heard.must_be_cancelled:
        # A demand to cancel is always granted, even after the creation: all that follows is awaited.
        if not heard.cancelled:
            yield CHOREOGRAPHY.cancelled.TYPE
        yield from _unanswered(heard, CHOREOGRAPHY.cancelled)
    elif heard.said(CHOREOGRAPHY.created):
        yield from _unanswered(heard, CHOREOGRAPHY.created)
    else:
        yield from (step.success.TYPE for step in CHOREOGRAPHY.steps if not heard.reached(step))


def _unanswered(heard: EventsOfSaga, decision: EventClass) -> Iterator[str]:
    """What the services must still say in answer to `decision`."""
    for service in CHOREOGRAPHY.services:
        reaction = CHOREOGRAPHY.reaction(service, decision.TYPE)
        if reaction and reaction.says and not heard.answer(service, decision):
            yield reaction.says[0].TYPE


def _flags(heard: EventsOfSaga, set_aside: Sequence[DeadLetter], retried: Sequence[Retry]) -> Iterator[Flag]:
    if needs_a_person(heard, set_aside, retried):
        yield Flag.INTERVENTION
    if contradictions(heard):
        yield Flag.CONTRADICTION
    if not_allowed(heard):
        yield Flag.NOT_ALLOWED
    if len(heard.identities(CHOREOGRAPHY.starts)) > 1:
        yield Flag.REPEATED_ORDER
    if heard.service_answered and not heard.has_beginning:
        yield Flag.NO_BEGINNING


def _settled(heard: EventsOfSaga, state: State, wrong: Collection[str]) -> dt.datetime | None:
    if state is State.COMPLETED:
        created = heard.first(CHOREOGRAPHY.created)
        return created.time if created else None
    if state is not State.COMPENSATED:
        return None
    wanted = (CHOREOGRAPHY.cancelled, *(step.undone for step in CHOREOGRAPHY.undoings))
    last = [event for said in wanted if (event := heard.first(said))]
    if any(event.service in wrong for event in last):
        return None  # it may be the one that settled the order
    times = [event.time for event in last if event.time]
    return max(times, default=None)
