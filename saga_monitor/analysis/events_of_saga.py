"""The set of events of one order, and the questions asked about it. Pure.

This module names no event type; `CHOREOGRAPHY` says which event answers which.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.choreography import EventClass, Step
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.causation import CAUSES, Causes

# The decision that a message to the customer answers, by its template, for messages whose cause is unknown.
_DECISION_OF = {
    "confirmation": CHOREOGRAPHY.created.TYPE,
    "annulation": CHOREOGRAPHY.cancelled.TYPE,
    "rectificatif": CHOREOGRAPHY.cancelled.TYPE,
}


# Orders are answered within seconds: a client whose order is this much older than its answer has a wrong clock.
LONGEST_UNANSWERED = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """One event as the monitor keeps it. `source` and `id` together identify it.

    `service`: the speaker, known from the exchange. `nothing`: the event answers an undoing and says that there
    was nothing to undo. `offset`: its first position in the stream.
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
    """The events of one order as a set: neither repetitions nor the order of arrival change an answer."""

    def __init__(self, events: Iterable[HeardEvent]) -> None:
        # Sorted by offset, which no sender can forge, unlike a time. The order of arrival must not matter: of an
        # event said twice, or a fact with two ids, every reader must find the same one first.
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
        """The first event of the first of these types that occurs."""
        return next((self._first[said.TYPE] for said in wanted if said and said.TYPE in self._first), None)

    def identities(self, said: EventClass) -> set[tuple[str, str]]:
        return {event.identity for event in self.events if event.type == said.TYPE}

    def cause(self, event: HeardEvent) -> HeardEvent | None:
        """The event that `event` answers; None when it names none, or one that was not heard."""
        return self.causes.of(event)

    def answer(self, service: str, decision: EventClass) -> HeardEvent | None:
        """The event with which `service` answered `decision`, or None."""
        reaction = CHOREOGRAPHY.reaction(service, decision.TYPE)
        types = {said.TYPE for said in reaction.says} if reaction else set()
        return next((e for e in self.events if e.type in types and self._answers(e, decision.TYPE)), None)

    def answers(self, decision: EventClass) -> list[HeardEvent]:
        """All events that answer `decision`, whichever service said them."""
        types = {said.TYPE for r in CHOREOGRAPHY.reactions if r.hears is decision for said in r.says}
        return [e for e in self.events if e.type in types and self._answers(e, decision.TYPE)]

    def _answers(self, event: HeardEvent, decision: str) -> bool:
        causes = CAUSES[event.type]
        if len(causes) == 1:
            return decision in causes
        known = self._types_of.get(event.causationid or "", set()) & causes
        return decision in known if known else _DECISION_OF.get(event.modele or "") == decision

    def reached(self, step: Step) -> bool:
        """Whether the step has succeeded: its success, or an answer to that success, was heard."""
        # An answer proves that its cause was said, even if a trimmed history has lost the cause. A decision needs
        # its own event.
        if self.said(step.success) or step.service == CHOREOGRAPHY.decider:
            return self.said(step.success)
        following = (later for later in CHOREOGRAPHY.steps if later.after is step.success)
        return any(self.refused(later) or self.reached(later) for later in following)

    def refused(self, step: Step) -> bool:
        """Whether the step has refused. The decider refuses by cancelling, which does not count here."""
        return self.said(step.refusal) and step.refusal is not CHOREOGRAPHY.cancelled

    @cached_property
    def refusal(self) -> bool:
        return any(self.refused(step) for step in CHOREOGRAPHY.steps)

    @cached_property
    def service_answered(self) -> bool:
        return bool(self.types - CHOREOGRAPHY.client_types)

    @cached_property
    def has_beginning(self) -> bool:
        """Whether the event that begins an order was heard. Other events alone make no order."""
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
        """Whether the order can only end cancelled, even if the decision has not been heard."""
        asked = self.has_beginning and self.said(CHOREOGRAPHY.cancel_asked)
        undoing = any(self.said(step.undone) for step in CHOREOGRAPHY.undoings)
        return self.cancelled or self.refusal or asked or undoing

    @cached_property
    def started(self) -> dt.datetime | None:
        """When the order was placed or, if that time is implausible, when a service first answered."""
        answer = next((e.time for e in self.events if e.time and e.type not in CHOREOGRAPHY.client_types), None)
        placed = self._start.time if self._start else None
        if placed and (answer is None or dt.timedelta() <= answer - placed <= LONGEST_UNANSWERED):
            return placed
        return answer or next((e.time for e in self.events if e.time), None)

    @property
    def _start(self) -> HeardEvent | None:
        """The start event that the services answered (a second one may have the same key), or else the first."""
        causes = (self.cause(event) for event in self.events if event.type not in CHOREOGRAPHY.client_types)
        answered = (cause for cause in causes if cause and cause.type == CHOREOGRAPHY.starts.TYPE)
        return next(answered, None) or self.first(CHOREOGRAPHY.starts)


def is_absurd(type_: str, asked: dt.datetime | None, answered: dt.datetime | None) -> bool:
    """Whether a client's clock is so far behind that the time until the answer means nothing."""
    if type_ not in CHOREOGRAPHY.client_types or asked is None or answered is None:
        return False
    return answered - asked > LONGEST_UNANSWERED


def _place(event: HeardEvent) -> tuple[int, bool, float, str, str]:
    return event.offset, event.time is None, event.time.timestamp() if event.time else 0.0, event.id, event.source
