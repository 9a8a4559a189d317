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
    """`service` has not published `awaited`. `called`: the event that asks for it, if it was heard."""

    service: str
    awaited: str
    trigger: HeardEvent | None
    undoing: bool


def pending_steps(state: State, at_rest: bool, remaining: Sequence[str], heard: EventsOfSaga) -> list[PendingStep]:
    """The steps that the order waits for: one until the decision, after it every missing answer."""
    found = []
    for service in awaited_services(state, at_rest, remaining):
        awaited = next(type_ for type_ in remaining if CHOREOGRAPHY.speaker_of.get(type_) == service)
        undoing = awaited in CHOREOGRAPHY.undoing_types
        found.append(PendingStep(service, awaited, _trigger(service, awaited, state, heard), undoing))
    return found


def _trigger(service: str, awaited: str, state: State, heard: EventsOfSaga) -> HeardEvent | None:
    decisions = [CHOREOGRAPHY.cancelled, CHOREOGRAPHY.created]
    if state is State.COMPLETED and not heard.must_be_cancelled:
        decisions.reverse()
    if heard.said(decisions[0]) and awaited not in {decision.TYPE for decision in decisions}:
        answering = CHOREOGRAPHY.reaction(service, decisions[0].TYPE)
        if answering and awaited in {said.TYPE for said in answering.says}:
            return heard.first(decisions[0])
    causes = [r for r in CHOREOGRAPHY.heard_by(service) if awaited in {said.TYPE for said in r.says}]
    # Of several causes prefer one that has no other answer. The event that begins an order comes last: every
    # service heard it, and others have answered it.
    causes.sort(key=lambda reaction: (reaction.hears is CHOREOGRAPHY.starts, len(reaction.says)))
    return heard.first(*(reaction.hears for reaction in causes))


# With fewer measurements the 99th percentile is the maximum: a single outlier would decide.
ENOUGH_MEASURES = 100
# An upper bound, because the measurements may include an outage. Whoever runs slower steps raises
# SAGA_STUCK_AFTER.
MOST_TIMES_STUCK_AFTER = 10


def longest_wait(
    spreads: Mapping[str, Histogram], service: str, undoing: bool, stuck_after: float
) -> dt.timedelta:
    """How long a step may take: the 99th percentile of its durations, within bounds.

    At least `stuck_after` (s), and at most `MOST_TIMES_STUCK_AFTER` times that.
    """
    took = spreads.get(f"{'undo' if undoing else 'step'}.{service}")
    p99_ms = took.p99_ms() if took and took.total >= ENOUGH_MEASURES else None
    most = stuck_after * MOST_TIMES_STUCK_AFTER
    return dt.timedelta(seconds=min(max(stuck_after, (p99_ms or 0) / 1000), most))
