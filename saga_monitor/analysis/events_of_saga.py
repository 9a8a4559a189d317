"""The set of events of one order, and the questions asked about it. Pure.

No event is named here: what answers what comes from `CHOREOGRAPHY`.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.choreography import EventClass, Step
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.causation import CAUSES, Causes

# Which decision a message to the customer answers, when its cause is not known.
_DECISION_OF = {
    "confirmation": CHOREOGRAPHY.created.TYPE,
    "annulation": CHOREOGRAPHY.cancelled.TYPE,
    "rectificatif": CHOREOGRAPHY.cancelled.TYPE,
}


# An order is answered in seconds; a client whose order is so much older than the answer has a wrong clock.
LONGEST_UNANSWERED = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """One event as the monitor keeps it. `service` is who said it: the exchange it came by. `source` and `id`
    together name it.

    `nothing`: an undoing's answer that there was nothing to undo. `offset`: where the stream has it first.
    """

    id: str
    type: str
    service: str
    time: dt.datetime | None = None
    causationid: str | None = None
    modele: str | None = None
    nothing: bool = False
    offset: int = 0
    source: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        return self.source, self.id


class EventsOfSaga:
    """A set of events of one order, whatever the order and the number of times each was heard."""

    def __init__(self, events: Iterable[HeardEvent]) -> None:
        # By offset, which nobody can make up as they can a clock, and never by the order of hearing: of a fact
        # with two ids, or an event said twice, the same one comes first whoever reads in whatever order.
        unique = {(event.identity, event.type): event for event in sorted(events, key=_place, reverse=True)}
        self.events = sorted(unique.values(), key=_place)
        self._types_of: dict[str, set[str]] = {}
        self._first: dict[str, HeardEvent] = {}
        for event in self.events:
            self._types_of.setdefault(event.id, set()).add(event.type)
            self._first.setdefault(event.type, event)
        self.types = self._first.keys()
        self.causes = Causes(self.events)

    def said(self, said: EventClass | None) -> bool:
        return said is not None and said.TYPE in self.types

    def first(self, *wanted: EventClass | None) -> HeardEvent | None:
        """The first event of the first of these types that was said at all."""
        return next((self._first[said.TYPE] for said in wanted if said and said.TYPE in self._first), None)

    def identities(self, said: EventClass) -> set[tuple[str, str]]:
        return {event.identity for event in self.events if event.type == said.TYPE}

    def cause(self, event: HeardEvent) -> HeardEvent | None:
        """The event that this one answers, when it says so and it was heard."""
        return self.causes.of(event)

    def answer(self, service: str, decision: EventClass) -> HeardEvent | None:
        """What `service` has said in answer to `decision`, or None."""
        reaction = CHOREOGRAPHY.reaction(service, decision.TYPE)
        types = {said.TYPE for said in reaction.says} if reaction else set()
        return next((e for e in self.events if e.type in types and self._answers(e, decision.TYPE)), None)

    def answers(self, decision: EventClass) -> list[HeardEvent]:
        """Everything that was said in answer to `decision`, whoever says it."""
        types = {said.TYPE for r in CHOREOGRAPHY.reactions if r.hears is decision for said in r.says}
        return [e for e in self.events if e.type in types and self._answers(e, decision.TYPE)]

    def _answers(self, event: HeardEvent, decision: str) -> bool:
        causes = CAUSES[event.type]
        if len(causes) == 1:
            return decision in causes
        known = self._types_of.get(event.causationid or "", set()) & causes
        return decision in known if known else _DECISION_OF.get(event.modele or "") == decision

    def reached(self, step: Step) -> bool:
        """Whether the step has succeeded: its success was heard, or an answer to it was."""
        # An answer proves its cause, which a trimmed history may lack. A decision is never taken as proved.
        if self.said(step.success) or step.service == CHOREOGRAPHY.decider:
            return self.said(step.success)
        following = (later for later in CHOREOGRAPHY.steps if later.after is step.success)
        return any(self.refused(later) or self.reached(later) for later in following)

    def refused(self, step: Step) -> bool:
        """Whether the step has said no. The decider's no is the cancellation itself: not one of these."""
        return self.said(step.refusal) and step.refusal is not CHOREOGRAPHY.cancelled

    @cached_property
    def refusal(self) -> bool:
        return any(self.refused(step) for step in CHOREOGRAPHY.steps)

    @cached_property
    def service_answered(self) -> bool:
        return bool(self.types - CHOREOGRAPHY.client_types)

    @cached_property
    def has_beginning(self) -> bool:
        """Whether the event that begins an order was heard. Without it, all other events make no order."""
        return self.said(CHOREOGRAPHY.starts)

    @cached_property
    def cancelled(self) -> bool:
        return self.said(CHOREOGRAPHY.cancelled)

    @cached_property
    def undone(self) -> bool:
        """Whether every undoing has been answered."""
        return all(self.said(step.undone) for step in CHOREOGRAPHY.undoings)

    @cached_property
    def must_be_cancelled(self) -> bool:
        """Whether the order can only end cancelled, though the decision may not have been heard."""
        asked = self.has_beginning and self.said(CHOREOGRAPHY.cancel_asked)
        undoing = any(self.said(step.undone) for step in CHOREOGRAPHY.undoings)
        return self.cancelled or self.refusal or asked or undoing

    @cached_property
    def started(self) -> dt.datetime | None:
        """When the order began: when it was placed or, where that cannot be true, when a service first spoke."""
        answer = next((e.time for e in self.events if e.time and e.type not in CHOREOGRAPHY.client_types), None)
        placed = self._start.time if self._start else None
        if placed and (answer is None or dt.timedelta() <= answer - placed <= LONGEST_UNANSWERED):
            return placed
        return answer or next((e.time for e in self.events if e.time), None)

    @property
    def _start(self) -> HeardEvent | None:
        """The order that the services acted on, for others may have come with its id; else the first of them."""
        causes = (self.cause(event) for event in self.events if event.type not in CHOREOGRAPHY.client_types)
        answered = (cause for cause in causes if cause and cause.type == CHOREOGRAPHY.starts.TYPE)
        return next(answered, None) or self.first(CHOREOGRAPHY.starts)


def is_absurd(type_: str, asked: dt.datetime | None, answered: dt.datetime | None) -> bool:
    """Whether the event was a client's, whose clock is so far behind that the time to the answer says nothing."""
    if type_ not in CHOREOGRAPHY.client_types or asked is None or answered is None:
        return False
    return answered - asked > LONGEST_UNANSWERED


def _place(event: HeardEvent) -> tuple[int, bool, float, str, str]:
    return event.offset, event.time is None, event.time.timestamp() if event.time else 0.0, event.id, event.source
