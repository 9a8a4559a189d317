"""What a choreography is made of: reactions, deadlines and steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from choregraphie.saga.envelope import Event

EventClass = type[Event]
# One event, or several that must all be heard: a join.
Awaited = EventClass | tuple[EventClass, ...]


def _all_of(awaited: Awaited) -> tuple[EventClass, ...]:
    return awaited if isinstance(awaited, tuple) else (awaited,)


def names_of(events: Iterable[EventClass]) -> str:
    """The wire types of `events`, as a person reads them: `vol.reserve + hotel.reserve`."""
    return " + ".join(event.TYPE for event in events)


@dataclass(frozen=True)
class Reaction:
    """A service hears an event and may say some others; with an empty `says` it only records what it heard.

    hears         the event, or a tuple of events: then it is carried out when all of them were heard
    refusal       the event it says when the business answer is no, and when its retries are exhausted
    undoing       the answer to a cancellation, which is always given
    decision      the reaction settles the instance; like an undoing it has no refusal, so one that exhausts its
                  retries needs a person
    undoes        the events whose effects in the same service this reaction takes back
    irreversible  the effect cannot be taken back, only corrected: a message that was sent, a parcel on its way
    """

    service: str
    hears: Awaited
    says: tuple[EventClass, ...] = ()
    refusal: EventClass | None = None
    undoing: bool = False
    decision: bool = False
    undoes: tuple[EventClass, ...] = ()
    irreversible: bool = False

    @property
    def awaits(self) -> tuple[EventClass, ...]:
        """The events that must all be heard before it is carried out."""
        return _all_of(self.hears)

    @property
    def awaited(self) -> str:
        """The same as wire types, for a sentence."""
        return names_of(self.awaits)


@dataclass(frozen=True)
class Deadline:
    """What a service may say because time has passed since it first heard one of `after`."""

    service: str
    says: tuple[EventClass, ...]
    after: tuple[EventClass, ...]


@dataclass(frozen=True)
class Step:
    """One service's part of the saga.

    after    the event that calls for it, or a tuple of events: then it begins when all of them were heard
    success  what the service says when it has done its part
    refusal  what it says when it does not
    undone   what it answers to a cancellation
    undo     the command that calls for its undoing where an orchestrator says it, once the step was begun; without
             one the cancellation itself calls for it, whether or not the step was begun
    name     of the step, when its service has several; by default the service's name
    """

    service: str
    after: Awaited
    success: EventClass
    refusal: EventClass | None = None
    undone: EventClass | None = None
    name: str = ""
    undo: EventClass | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.service)

    @property
    def awaits(self) -> tuple[EventClass, ...]:
        """The events that must all be heard before it begins."""
        return _all_of(self.after)

    @property
    def awaited(self) -> str:
        """The same as wire types, for a sentence."""
        return names_of(self.awaits)

    @property
    def answers(self) -> tuple[EventClass, ...]:
        """What its service may say of it: its success, its refusal, its undoing."""
        said = (self.success, self.refusal, self.undone)
        return tuple(event for event in said if event is not None)


@dataclass(frozen=True)
class DecisionField:
    """The data field of an event that tells which decision it answers, when it may answer several.

    values  the decision that each value of the field answers
    """

    name: str
    values: Mapping[str, EventClass]
