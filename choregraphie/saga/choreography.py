"""The choreography as data: who hears what, and what each service may answer.

Everything that follows from the declarations is computed here, once, as a cached property of `Choreography`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.envelope import Event

EventClass = type[Event]


@dataclass(frozen=True)
class Reaction:
    """A service hears an event and may say some others; with an empty `says` it only records what it heard.

    refusal       the event it says when the business answer is no, and when its retries are exhausted
    undoing       the answer to a cancellation, which is always given
    decision      the reaction settles the instance; like an undoing it has no refusal, so one that exhausts its
                  retries needs a person
    undoes        the events whose effects in the same service this reaction takes back
    irreversible  the effect cannot be taken back, only corrected: a message that was sent, a parcel on its way
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
    """One service's part of the saga.

    after    the event that calls for it
    success  what the service says when it has done its part
    refusal  what it says when it does not
    undone   what it answers to a cancellation
    """

    service: str
    after: EventClass
    success: EventClass
    refusal: EventClass | None = None
    undone: EventClass | None = None


@dataclass(frozen=True)
class Choreography:
    """A saga as data.

    starts        the event with which an instance begins
    created       the decider's yes
    cancelled     the decider's no, which every service with an undoing answers
    cancel_asked  a client's demand to cancel
    decider       the one service that says `created` and `cancelled`
    timed         the deadlines
    final         the last event of each branch, which no service needs to hear
    searched      the data fields in which a person's search looks for an instance, beside its key
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

    @cached_property
    def event_types(self) -> dict[str, EventClass]:
        """Every event class by its wire type, in the order of `events`."""
        return {event.TYPE: event for event in self.events}

    @cached_property
    def speaker_of(self) -> dict[str, str]:
        """Who says events of each wire type: a service, or `client`."""
        return {type_: event.SAID_BY for type_, event in self.event_types.items()}

    @cached_property
    def client_types(self) -> frozenset[str]:
        """The wire types of the events that clients say."""
        return frozenset(type_ for type_, speaker in self.speaker_of.items() if speaker not in self.services)

    @cached_property
    def refusals(self) -> frozenset[EventClass]:
        """Every business no of a step or a reaction.

        `cancelled` is not among them: a decider's refusal is its decision. Nor is the refusal of an undoing,
        which has none in a sound choreography.
        """
        said = {step.refusal for step in self.steps} | {r.refusal for r in self.reactions if not r.undoing}
        return frozenset(event for event in said if event is not None and event is not self.cancelled)

    @cached_property
    def refusal_types(self) -> frozenset[str]:
        """The wire types of `refusals`."""
        return frozenset(event.TYPE for event in self.refusals)

    @cached_property
    def undoings(self) -> tuple[Step, ...]:
        """The steps whose services must answer a cancellation."""
        return tuple(step for step in self.steps if step.undone)

    @cached_property
    def undoing_types(self) -> dict[str, str]:
        """The service that answers a cancellation with each wire type."""
        return {step.undone.TYPE: step.service for step in self.steps if step.undone}

    @cached_property
    def heard(self) -> frozenset[EventClass]:
        """Every event that some service hears."""
        return frozenset(reaction.hears for reaction in self.reactions)

    @cached_property
    def said(self) -> frozenset[EventClass]:
        """Every event that a client, a reaction or a deadline may say."""
        reactions = {event for reaction in self.reactions for event in reaction.says}
        deadlines = {event for timed in self.timed for event in timed.says}
        return frozenset({self.starts, self.cancel_asked} | reactions | deadlines)

    def hearers(self, type_: str) -> frozenset[str]:
        """The services that hear events of wire type `type_`."""
        return frozenset(service for service, heard in self._reactions if heard == type_)

    def step(self, service: str) -> Step | None:
        """The first step of `service`, or None."""
        return next((step for step in self.steps if step.service == service), None)

    def heard_by(self, service: str) -> Iterator[Reaction]:
        """The reactions of `service`, in the order of their declaration."""
        return (reaction for reaction in self.reactions if reaction.service == service)

    def reaction(self, service: str, type_: str) -> Reaction | None:
        """What `service` does on hearing an event of wire type `type_`, or None."""
        return self._reactions.get((service, type_))

    @cached_property
    def _reactions(self) -> dict[tuple[str, str], Reaction]:
        return {(r.service, r.hears.TYPE): r for r in reversed(self.reactions)}
