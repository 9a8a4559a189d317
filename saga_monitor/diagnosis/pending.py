"""The steps that an order waits for, and how long each may take before the order is stuck. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.saga_state import State
from saga_monitor.projection.counters import Histogram, awaited_services


@dataclass(frozen=True, slots=True)
class PendingStep:
    """`service` has not said `awaited`. `called`: the event that asks it to, when that was heard."""

    service: str
    awaited: str
    called: HeardEvent | None
    undoing: bool


def pending_steps(state: State, at_rest: bool, remaining: Sequence[str], heard: EventsOfSaga) -> list[PendingStep]:
    """What the order waits for now: one answer until the decision, after it all that are missing."""
    found = []
    for service in awaited_services(state, at_rest, remaining):
        awaited = next(type_ for type_ in remaining if CHOREOGRAPHY.speaker_of.get(type_) == service)
        undoing = awaited in CHOREOGRAPHY.undoing_types
        found.append(PendingStep(service, awaited, _called(service, awaited, state, heard), undoing))
    return found


def _called(service: str, awaited: str, state: State, heard: EventsOfSaga) -> HeardEvent | None:
    decisions = [CHOREOGRAPHY.cancelled, CHOREOGRAPHY.created]
    if state is State.COMPLETED and not heard.must_be_cancelled:
        decisions.reverse()
    if heard.said(decisions[0]) and awaited not in {decision.TYPE for decision in decisions}:
        answering = CHOREOGRAPHY.reaction(service, decisions[0].TYPE)
        if answering and awaited in {said.TYPE for said in answering.says}:
            return heard.first(decisions[0])
    causes = [r for r in CHOREOGRAPHY.heard_by(service) if awaited in {said.TYPE for said in r.says}]
    # The beginning is the least telling of several causes: it was heard first, and answered by others. The most
    # telling is one that has no other answer.
    causes.sort(key=lambda reaction: (reaction.hears is CHOREOGRAPHY.starts, len(reaction.says)))
    return heard.first(*(reaction.hears for reaction in causes))


# Of fewer measures the slowest one in a hundred is the slowest of all: one outlier would speak for the step.
ENOUGH_MEASURES = 100
# However slow a step was, a silence so many times `stuck_after` is shown: what was measured may hold an outage,
# and whoever runs slow steps sets `stuck_after` to suit them.
MOST_TIMES_STUCK_AFTER = 10


def longest_wait(
    spreads: Mapping[str, Histogram], service: str, undoing: bool, stuck_after: float
) -> dt.timedelta:
    """As long as 99 of 100 took before, from `stuck_after` (s) to ten times as long."""
    took = spreads.get(f"{'undo' if undoing else 'step'}.{service}")
    p99_ms = took.p99_ms() if took and took.total >= ENOUGH_MEASURES else None
    most = stuck_after * MOST_TIMES_STUCK_AFTER
    return dt.timedelta(seconds=min(max(stuck_after, (p99_ms or 0) / 1000), most))
