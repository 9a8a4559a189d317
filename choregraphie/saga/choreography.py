"""What a choreography declares, as data: who hears what, and what each may answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.envelope import Event

EventClass = type[Event]


@dataclass(frozen=True)
class Reaction:
    """A service hears an event and may say some others (none: it only takes note).

    `refusal` is what it says when the business answer is no, and when it has exhausted its retries.
    `undoing` marks the answer to a cancellation, which is always given. `decision` marks a reaction that
    settles the order; like an undoing it has no refusal, so giving it up calls for a person. `undoes` names
    the events on whose hearing the same service did what this takes back. `irreversible` marks what cannot be
    taken back, only made good: a message that has left, a parcel that is on its way.
    """

    service: str
    hears: EventClass
    says: tuple[EventClass, ...] = ()
    refusal: EventClass | None = None
    undoing: bool = False
    decision: bool = False
    undoes: tuple[EventClass, ...] = ()
    irreversible: bool = False


@dataclass(frozen=True)
class Deadline:
    """What a service may say because time has passed since it first heard one of `after`."""

    service: str
    says: tuple[EventClass, ...]
    after: tuple[EventClass, ...]


@dataclass(frozen=True)
class Step:
    """One service's part: the event that calls for it, its success, its refusal, its undoing's answer."""

    service: str
    after: EventClass
    success: EventClass
    refusal: EventClass | None = None
    undone: EventClass | None = None


@dataclass(frozen=True)
class Choreography:
    """`final`: the last word of each branch, which nobody needs to react to.

    `searched`: the data fields by whose values a person looks for an order, beside its key.
    """

    starts: EventClass
    created: EventClass
    cancelled: EventClass
    cancel_asked: EventClass
    decider: str
    steps: tuple[Step, ...]
    reactions: tuple[Reaction, ...]
    timed: tuple[Deadline, ...]
    final: tuple[EventClass, ...] = ()
    searched: tuple[str, ...] = ()

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Every service, in the order of the steps."""
        return tuple(step.service for step in self.steps)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Everyone who has an exchange: the client first, then the services."""
        return ("client", *self.services)

    @cached_property
    def events(self) -> tuple[EventClass, ...]:
        """Every event that is heard or said, each once, in order of appearance."""
        seen: dict[EventClass, None] = {}
        for reaction in self.reactions:
            seen.update(dict.fromkeys((reaction.hears, *reaction.says)))
        for timed in self.timed:
            seen.update(dict.fromkeys(timed.says))
        return tuple(seen)

    def heard_by(self, service: str) -> Iterator[Reaction]:
        return (reaction for reaction in self.reactions if reaction.service == service)

    def reaction(self, service: str, type_: str) -> Reaction | None:
        """What `service` does on hearing an event of wire type `type_`, or None."""
        return self._reactions.get((service, type_))

    @cached_property
    def _reactions(self) -> dict[tuple[str, str], Reaction]:
        return {(r.service, r.hears.TYPE): r for r in reversed(self.reactions)}

    @cached_property
    def undoings(self) -> tuple[Step, ...]:
        """The steps that must answer a cancellation, and by what."""
        return tuple(step for step in self.steps if step.undone)
