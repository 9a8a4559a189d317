"""Judges where an instance stands (state, flags, what remains) from the set of its events. Pure.

The order in which they are heard, duplicates and clocks make no difference to the state.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.choreography import Choreography, EventClass
from saga_monitor.analysis.clocks import without_wrong_clocks
from saga_monitor.analysis.contradictions import contradictions, not_allowed
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, time_of_beginning
from saga_monitor.analysis.interventions import GIVEN_UP, needs_a_person
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.remaining import remaining
from saga_monitor.analysis.steps import StepOutline, StepProgress, StepState, elapsed_ms, step_outline, timed

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
    NEW = "NEW"  # begun, and no service has answered
    RUNNING = "RUNNING"  # a service has answered, nothing is decided
    FAILED = "FAILED"  # a step has refused, the decision is awaited
    COMPLETED = "COMPLETED"  # created, and not cancelled since
    COMPENSATING = "COMPENSATING"  # cancelled, and some undoing has not answered
    COMPENSATED = "COMPENSATED"  # cancelled, and every undoing has answered
    UNKNOWN = "UNKNOWN"  # events of a key whose beginning was not heard: no instance, as far as is known


class Flag(StrEnum):
    INTERVENTION = "INTERVENTION"  # a person is needed: see interventions.py
    HELD = "HELD"  # a service that it waits for holds its inbox, because an outside system is down
    # Something remains, nothing holds it, and nothing was heard for `stuck_after`. HELD and STUCK depend on the
    # clock. Whether the step normally takes longer, and what to do, is decided in diagnosis/anomalies.py.
    STUCK = "STUCK"
    CONTRADICTION = "CONTRADICTION"  # events that cannot all be true: see contradictions.py
    NOT_ALLOWED = "NOT_ALLOWED"  # an event answers something that the choreography does not let it answer
    REPEATED_START = "REPEATED_START"  # a second start event came with the same key; it has no effect
    NO_BEGINNING = "NO_BEGINNING"  # a service said something of a key whose start event is not in the history


def has_beginning(state: str) -> bool:
    """Whether what is in `state` is an instance: its start event was heard.

    Anybody can send events of any key. A key without a start event awaits nothing, is counted apart from the
    instances and is forgotten first. It becomes one when its start event arrives, possibly late: events overtake
    others.
    """
    return state != State.UNKNOWN


# The states of a step whose service has answered. A key without a start event has no other steps.
_ANSWERED = {StepState.DONE, StepState.REFUSED, StepState.UNDONE, StepState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an instance stands. `remaining`: wire types of the events still awaited. `flags`: not HELD and STUCK.

    Without a beginning nothing remains, nothing has a time, and `steps` has only those that were answered.

    `duration_ms` runs from the instance's beginning to the event that settled it: its creation or, once
    cancelled, the last undoing's answer. It began with its start event or, where the client's clock is absurd,
    when a service first spoke of it. What a wrong clock has a part in (clocks.py) is None.
    """

    state: State
    steps: tuple[StepProgress, ...]
    remaining: tuple[str, ...]
    flags: tuple[Flag, ...]
    at_rest: bool
    started: dt.datetime | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Outline:
    """Where an instance stands but for all times. An event is named by its place in the order of the stream.

    start     the event with which it began
    answers   what services said
    settling  the events that settled it
    effects   every event with the one that it answers
    """

    state: State
    steps: tuple[StepOutline, ...]
    remaining: tuple[str, ...]
    flags: tuple[Flag, ...]
    start: int | None
    answers: tuple[int, ...]
    settling: tuple[int, ...]
    effects: tuple[tuple[int, int], ...]

    @property
    def at_rest(self) -> bool:
        over = not self.remaining and self.state in {State.COMPLETED, State.COMPENSATED}
        return over or not has_beginning(self.state)


def evaluate(
    choreography: Choreography,
    events: Iterable[HeardEvent],
    set_aside: Sequence[DeadLetter] = (),
    retried: Sequence[Retry] = (),
) -> Progress:
    """Evaluates an instance from its events. The result depends on the set of events, not on their order."""
    saga, wrong = without_wrong_clocks(EventsOfSaga(choreography, events))
    return timed_progress(choreography, outline_of(saga, set_aside, retried), saga.events, wrong)


def outline_of(saga: EventsOfSaga, set_aside: Sequence[DeadLetter] = (), retried: Sequence[Retry] = ()) -> Outline:
    """Evaluates an instance, but for its times."""
    steps = tuple(step_outline(saga, step) for step in saga.choreography.steps)
    state = _state(saga) if saga.has_beginning else State.UNKNOWN
    start = saga.start
    return Outline(
        state=state,
        steps=steps if saga.has_beginning else tuple(step for step in steps if step.state in _ANSWERED),
        remaining=tuple(remaining(saga)) if saga.has_beginning else (),
        flags=tuple(_flags(saga, set_aside, retried)),
        start=saga.place(start) if start else None,
        answers=tuple(map(saga.place, saga.by_services)),
        settling=tuple(map(saga.place, _settling(saga, state))),
        effects=tuple((saga.place(e), saga.place(cause)) for e in saga.events if (cause := saga.cause(e))),
    )


def timed_progress(
    choreography: Choreography, outline: Outline, events: Sequence[HeardEvent], wrong: Collection[str] = ()
) -> Progress:
    """Where the instance of `outline` stands, by the times of these `events`.

    `wrong`: the speakers with wrong clocks, whose events have no time.
    """
    state, flags = outline.state, outline.flags
    if not has_beginning(state):
        answered = tuple(StepProgress(step.step, step.state) for step in outline.steps)
        return Progress(state, answered, (), flags, at_rest=True, started=None, duration_ms=None)
    start = None if outline.start is None else events[outline.start]
    started = time_of_beginning(start, (events[place] for place in outline.answers), events)
    return Progress(
        state,
        tuple([timed(choreography, step, events, wrong) for step in outline.steps]),
        outline.remaining,
        flags,
        outline.at_rest,
        started,
        elapsed_ms(started, _settled([events[place] for place in outline.settling], wrong)),
    )


def is_stuck(at_rest: bool, last_heard: dt.datetime, now: dt.datetime, stuck_after: float) -> bool:
    """Whether an instance awaits something and has been silent for more than `stuck_after` seconds."""
    return not at_rest and (now - last_heard).total_seconds() > stuck_after


def _state(saga: EventsOfSaga) -> State:
    if saga.cancelled:
        return State.COMPENSATED if saga.undone else State.COMPENSATING
    if saga.said(saga.choreography.created):
        return State.COMPLETED
    if saga.refusal:
        return State.FAILED
    return State.RUNNING if saga.service_answered else State.NEW


def _flags(saga: EventsOfSaga, set_aside: Sequence[DeadLetter], retried: Sequence[Retry]) -> Iterator[Flag]:
    if needs_a_person(saga, set_aside, retried):
        yield Flag.INTERVENTION
    if contradictions(saga):
        yield Flag.CONTRADICTION
    if not_allowed(saga):
        yield Flag.NOT_ALLOWED
    if len(saga.identities(saga.choreography.starts)) > 1:
        yield Flag.REPEATED_START
    if saga.service_answered and not saga.has_beginning:
        yield Flag.NO_BEGINNING


def _settling(saga: EventsOfSaga, state: State) -> list[HeardEvent]:
    choreography = saga.choreography
    ends: dict[State, tuple[EventClass | None, ...]] = {
        State.COMPLETED: (choreography.created,),
        State.COMPENSATED: (choreography.cancelled, *(step.undone for step in choreography.undoings)),
    }
    return [event for said in ends.get(state, ()) if (event := saga.first(said))]


def _settled(events: Sequence[HeardEvent], wrong: Collection[str]) -> dt.datetime | None:
    if any(event.service in wrong for event in events):
        return None  # it may be the one that settled the instance
    return max((event.time for event in events if event.time), default=None)
