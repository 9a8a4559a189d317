"""The set of events of one instance, and the questions asked about it. Pure."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.choreography import Choreography, EventClass, Step
from choregraphie.saga.orchestrator_part import awaited_types
from saga_monitor.analysis.causation import Causes

# Services answer within seconds: a client whose event is this much older than its answer has a wrong clock.
LONGEST_UNANSWERED = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """One event as the monitor keeps it. `source` and `id` together identify it.

    `service`: the speaker, known from the exchange. `decides`: the value of the choreography's decision field, for
    events whose cause is not known; of an orchestrator's request for a person, the missing answer.
    `nothing`: the event answers an undoing and says that there was nothing to undo. `offset`: its first position
    in the stream.
    """

    id: str
    type: str
    service: str
    time: dt.datetime | None = None
    causationid: str | None = None
    decides: str | None = None
    nothing: bool = False
    offset: int = 0
    source: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        return self.source, self.id


class EventsOfSaga:
    """The events of one instance as a set: neither repetitions nor the order of arrival change an answer."""

    def __init__(self, choreography: Choreography, events: Iterable[HeardEvent]) -> None:
        self.choreography = choreography
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
        self.causes = Causes(choreography, self.events)

    def said(self, said: EventClass | None) -> bool:
        return said is not None and said.TYPE in self.types

    def first(self, *wanted: EventClass | None) -> HeardEvent | None:
        """The first event of the first of these types that occurs."""
        return next((self._first[said.TYPE] for said in wanted if said and said.TYPE in self._first), None)

    def identities(self, said: EventClass) -> set[tuple[str, str]]:
        return {event.identity for event in self.events if event.type == said.TYPE}

    def place(self, event: HeardEvent) -> int:
        """The index of one of `events`."""
        return self._places[event.identity, event.type]

    def cause(self, event: HeardEvent) -> HeardEvent | None:
        """The event that `event` answers; None when it names none, or one that was not heard."""
        return self.causes.of(event)

    def answer(self, service: str, heard: EventClass) -> HeardEvent | None:
        """The event with which `service` answered `heard`, or None."""
        reaction = self.choreography.reaction(service, heard.TYPE)
        types = {said.TYPE for said in reaction.says} if reaction else set()
        return next((e for e in self.events if e.type in types and self._answers(e, heard)), None)

    def answers(self, heard: EventClass) -> list[HeardEvent]:
        """All events that answer `heard`, whichever service said them."""
        types = {s.TYPE for r in self.choreography.reactions if heard in r.awaits for s in r.says}
        return [e for e in self.events if e.type in types and self._answers(e, heard)]

    def _answers(self, event: HeardEvent, heard: EventClass) -> bool:
        possible = self.choreography.reactions_saying(event.type)
        if len(possible) > 1:
            named = self._types_of.get(event.causationid or "", set())
            known = [r for r in possible if any(awaited.TYPE in named for awaited in r.awaits)]
            if not known:
                return self._decision_of(event) is heard
            possible = tuple(known)
        return any(heard in reaction.awaits for reaction in possible)

    def _decision_of(self, event: HeardEvent) -> EventClass | None:
        field = self.choreography.decision_field
        return field.values.get(event.decides or "") if field else None

    def reached(self, step: Step) -> bool:
        """Whether the step has succeeded: its success, or an answer to that success, was heard."""
        # An answer proves that its cause was said, even if a trimmed history has lost the cause. A decision needs
        # its own event.
        if self.said(step.success) or step is self.choreography.decision:
            return self.said(step.success)
        following = (later for later in self.choreography.steps if step.success in later.awaits)
        return any(self.refused(later) or self.reached(later) for later in following)

    def missing(self, step: Step) -> tuple[EventClass, ...]:
        """The events that `step` awaits and that were neither heard nor proved by an answer to them."""
        reached = {earlier.success for earlier in self.choreography.steps if self.reached(earlier)}
        return tuple(event for event in step.awaits if not self.said(event) and event not in reached)

    def call_of(self, answer: HeardEvent, awaited: Sequence[EventClass]) -> HeardEvent | None:
        """What was answered with `answer`: its cause or else the last of the `awaited` events."""
        return self.cause(answer) or self.last_of(awaited)

    def last_of(self, awaited: Sequence[EventClass]) -> HeardEvent | None:
        """The last to come of the first events of these types; None when one of them was not heard."""
        found = [event for said in awaited if (event := self.first(said))]
        return max(found, key=_place) if len(found) == len(awaited) else None

    def refused(self, step: Step) -> bool:
        """Whether the step has refused. The decider refuses by cancelling, which does not count here."""
        return self.said(step.refusal) and step.refusal is not self.choreography.cancelled

    @cached_property
    def _places(self) -> dict[tuple[tuple[str, str], str], int]:
        return {(event.identity, event.type): place for place, event in enumerate(self.events)}

    @cached_property
    def refusal(self) -> bool:
        return any(self.refused(step) for step in self.choreography.steps)

    @cached_property
    def service_answered(self) -> bool:
        return bool(self.types - self.choreography.client_types)

    @cached_property
    def has_beginning(self) -> bool:
        """Whether the event that begins an instance was heard. Other events alone make no instance."""
        return self.said(self.choreography.starts)

    @cached_property
    def cancelled(self) -> bool:
        return self.said(self.choreography.cancelled)

    @cached_property
    def undone(self) -> bool:
        """Whether every undoing has been answered."""
        return all(self.said(step.undone) for step in self.choreography.undoings_due(self.types))

    @cached_property
    def must_be_cancelled(self) -> bool:
        """Whether the instance can only end cancelled, even if the decision has not been heard."""
        asked = self.has_beginning and self.said(self.choreography.cancel_asked)
        undoing = any(self.said(step.undone) for step in self.choreography.undoings)
        return self.cancelled or self.refusal or asked or undoing

    @cached_property
    def in_review(self) -> dict[str, HeardEvent]:
        """The missing answers for which the orchestrator asks for a person, each with the event that first did.

        The answer ends it, whichever was said first; of a step after the creation, a cancellation does too.
        """
        review, found = self.choreography.review, dict[str, HeardEvent]()
        ended = (
            {self.choreography.cancelled.TYPE, *self.choreography.undoing_types}
            if self.must_be_cancelled
            else None
        )
        for event in self.events if review else ():
            for type_ in awaited_types(event.decides) if review and event.type == review.TYPE else ():
                if type_ not in self.types and (ended is None or type_ in ended):
                    found.setdefault(type_, event)
        return found

    @cached_property
    def started(self) -> dt.datetime | None:
        """When the instance began: see `time_of_beginning`."""
        return time_of_beginning(self.start, self.by_services, self.events)

    @property
    def by_services(self) -> list[HeardEvent]:
        """What services said, not clients."""
        return [event for event in self.events if event.type not in self.choreography.client_types]

    @property
    def start(self) -> HeardEvent | None:
        """The start event that the services answered (a second one may have the same key), or else the first."""
        causes = (self.cause(event) for event in self.by_services)
        answered = (cause for cause in causes if cause and cause.type == self.choreography.starts.TYPE)
        return next(answered, None) or self.first(self.choreography.starts)


def time_of_beginning(
    start: HeardEvent | None, answers: Iterable[HeardEvent], events: Iterable[HeardEvent]
) -> dt.datetime | None:
    """The time of `start` or, if that is implausible, of the first of `answers`; else of the first of `events`."""
    answer = next((event.time for event in answers if event.time), None)
    placed = start.time if start else None
    if placed and (answer is None or dt.timedelta() <= answer - placed <= LONGEST_UNANSWERED):
        return placed
    return answer or next((event.time for event in events if event.time), None)


def is_absurd(
    choreography: Choreography, type_: str, asked: dt.datetime | None, answered: dt.datetime | None
) -> bool:
    """Whether a client's clock is so far behind that the time until the answer means nothing."""
    if type_ not in choreography.client_types or asked is None or answered is None:
        return False
    return answered - asked > LONGEST_UNANSWERED


def _place(event: HeardEvent) -> tuple[int, bool, float, str, str]:
    return event.offset, event.time is None, event.time.timestamp() if event.time else 0.0, event.id, event.source
