"""The steps that an instance waits for, and how long each may take before the instance is stuck. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.saga_state import State
from saga_monitor.projection.counters import Histogram


@dataclass(frozen=True, slots=True)
class PendingStep:
    """`service` has not published `awaited`. `step`: the name of the step that it is part of; empty if of none.

    `triggers`: the events that ask for it, all that a join awaits; empty when one of them was not heard.
    """

    step: str
    service: str
    awaited: str
    triggers: tuple[HeardEvent, ...]
    undoing: bool

    @property
    def trigger(self) -> HeardEvent | None:
        """The event that completes what asks for it, if it was heard."""
        return max(self.triggers, key=lambda event: event.offset, default=None)


def pending_steps(state: State, at_rest: bool, remaining: Sequence[str], heard: EventsOfSaga) -> list[PendingStep]:
    """The steps that the instance waits for now: one of each branch, and after a decision every missing answer."""
    choreography = heard.choreography
    now = () if at_rest else choreography.called_for(remaining)
    return [
        PendingStep(
            choreography.step_of.get(awaited, ""),
            choreography.speaker_of[awaited],
            awaited,
            _triggers(awaited, state, heard),
            awaited in choreography.undoing_types,
        )
        for awaited in now
        if awaited in choreography.speaker_of
    ]


def needed_by(choreography: Choreography, awaited: str) -> str:
    """Which step a join keeps waiting for `awaited`, as a clause; empty when no join awaits it."""
    for step in choreography.steps:
        types = [event.TYPE for event in step.awaits]
        if awaited in types and len(types) > 1:
            others = " and ".join(type_ for type_ in types if type_ != awaited)
            return f", which {step.name} needs beside {others}"
    return ""


def _triggers(awaited: str, state: State, heard: EventsOfSaga) -> tuple[HeardEvent, ...]:
    choreography, service = heard.choreography, heard.choreography.speaker_of[awaited]
    decisions = [choreography.cancelled, choreography.created]
    if state is State.COMPLETED and not heard.must_be_cancelled:
        decisions.reverse()
    decided = heard.first(decisions[0])
    if decided and awaited not in {decision.TYPE for decision in decisions}:
        answering = choreography.reaction(service, decisions[0].TYPE)
        if answering and awaited in {said.TYPE for said in answering.says}:
            return (decided,)
    causes = [r for r in choreography.reactions_saying(awaited) if r.service == service]
    # Of several causes prefer one that has no other answer. The event that begins an instance comes last: every
    # service heard it, and others have answered it.
    causes.sort(key=lambda reaction: (choreography.starts in reaction.awaits, len(reaction.says)))
    found = ([heard.first(event) for event in reaction.awaits] for reaction in causes)
    return next((tuple(event for event in events if event) for events in found if all(events)), ())


# With fewer measurements the 99th percentile is the maximum: a single outlier would decide.
ENOUGH_MEASURES = 100
# An upper bound, because the measurements may include an outage. Whoever runs slower steps raises
# SAGA_STUCK_AFTER.
MOST_TIMES_STUCK_AFTER = 10


def longest_wait(
    spreads: Mapping[tuple[str, str], Histogram], saga: str, step: str, undoing: bool, stuck_after: float
) -> dt.timedelta:
    """How long a step of a saga may take: the 99th percentile of its durations, within bounds.

    At least `stuck_after` (s), and at most `MOST_TIMES_STUCK_AFTER` times that.
    """
    took = spreads.get((saga, f"{'undo' if undoing else 'step'}.{step}"))
    p99_ms = took.p99_ms() if took and took.total >= ENOUGH_MEASURES else None
    most = stuck_after * MOST_TIMES_STUCK_AFTER
    return dt.timedelta(seconds=min(max(stuck_after, (p99_ms or 0) / 1000), most))
