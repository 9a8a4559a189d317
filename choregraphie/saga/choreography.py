"""The choreography as data: who hears what, and what each service may answer.

Everything that follows from the declarations is computed here, once, as a cached property of `Choreography`.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.answers import WhoAnswers
from choregraphie.saga.declarations import (
    Awaited,
    Deadline,
    DecisionField,
    EventClass,
    Reaction,
    Step,
    names_of,
)
from choregraphie.saga.orchestrator_part import OrchestratorPart

__all__ = [
    "Awaited",
    "Choreography",
    "Deadline",
    "DecisionField",
    "EventClass",
    "Reaction",
    "Step",
    "names_of",
]


@dataclass(frozen=True)
class Choreography(WhoAnswers, OrchestratorPart):
    """A saga as data.

    name          of the saga: in commands, databases and addresses
    noun          what a person calls an instance, and several of them: `("order", "orders")`
    starts        the event with which an instance begins
    created       the decider's yes
    cancelled     the decider's no, which every service with an undoing answers
    cancel_asked  a client's demand to cancel
    decider       the one service that says `created` and `cancelled`
    timed         the deadlines
    final         the last event of each branch, which no service needs to hear
    searched      the data fields in which a person's search looks for an instance, beside its key
    decision_field  tells which decision an event answers, where its cause is unknown
    """

    name: str
    noun: tuple[str, str]
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
    decision_field: DecisionField | None = None

    @property
    def key(self) -> str:
        """The data field that is the key of an instance."""
        return self.starts.KEY

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Every service, in the order of the steps."""
        return tuple(dict.fromkeys(step.service for step in self.steps))

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Everyone who has an exchange: the client first, then the services."""
        return ("client", *self.services)

    @cached_property
    def events(self) -> tuple[EventClass, ...]:
        """Every event that is heard or said, each once, in order of appearance."""
        seen: dict[EventClass, None] = {}
        for reaction in self.reactions:
            seen.update(dict.fromkeys((*reaction.awaits, *reaction.says)))
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

    def undoings_due(self, said: Container[str]) -> tuple[Step, ...]:
        """The steps whose undoing must be answered in a cancelled instance of which the types `said` were said."""
        return self.undoings

    @cached_property
    def deciding(self) -> frozenset[EventClass]:
        """The decisions, and what says them to services that answer each of them with the same event."""
        values = self.decision_field.values.values() if self.decision_field else ()
        return frozenset({self.created, self.cancelled, *values})

    @cached_property
    def undoing_types(self) -> dict[str, str]:
        """The service that answers a cancellation with each wire type."""
        return {step.undone.TYPE: step.service for step in self.steps if step.undone}

    @cached_property
    def step_of(self) -> dict[str, str]:
        """The name of the step that each wire type answers."""
        return {said.TYPE: step.name for step in reversed(self.steps) for said in step.answers}

    def tries_of(self, step: str, usual: int) -> int:
        """How often the step of that name is tried, where the settings give `usual` tries."""
        return usual

    def step_named(self, name: str) -> Step | None:
        """The step of that name, or None."""
        return next((step for step in self.steps if step.name == name), None)

    @cached_property
    def before_creation(self) -> tuple[Step, ...]:
        """The steps that must all succeed before `created` is said, the last ones first."""
        found: dict[str, Step] = {}
        awaited = list(self.decision.awaits) if self.decision else []
        while awaited:
            event = awaited.pop(0)
            for step in self.steps:
                if step.success is event and step.name not in found:
                    found[step.name] = step
                    awaited += step.awaits
        return tuple(found.values())

    def called_for(self, remaining: Sequence[str]) -> tuple[str, ...]:
        """Those of the awaited types `remaining` that nothing else in `remaining` must come before.

        Several when branches run in parallel, or when services answer a decision.
        """
        if self.cancelled.TYPE in remaining:
            return (self.cancelled.TYPE,)
        not_begun = [step for step in self.steps if any(event.TYPE in remaining for event in step.awaits)]
        later = {step.success.TYPE for step in not_begun}
        return tuple(type_ for type_ in remaining if type_ not in later)

    @cached_property
    def heard(self) -> frozenset[EventClass]:
        """Every event that some service hears."""
        return frozenset(event for reaction in self.reactions for event in reaction.awaits)

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

    @cached_property
    def decision(self) -> Step | None:
        """The decider's step that creates; the first of its steps when none does."""
        own = [step for step in self.steps if step.service == self.decider]
        return next((step for step in own if step.success is self.created), own[0] if own else None)

    def heard_by(self, service: str) -> Iterator[Reaction]:
        """The reactions of `service`, in the order of their declaration."""
        return (reaction for reaction in self.reactions if reaction.service == service)

    def reaction(self, service: str, type_: str) -> Reaction | None:
        """What `service` does on hearing an event of wire type `type_`, or None."""
        return self._reactions.get((service, type_))

    def begins(self, step: Step) -> Reaction | None:
        """The reaction with which `step` begins, or None."""
        return next((r for r in self.heard_by(step.service) if set(r.awaits) == set(step.awaits)), None)

    @cached_property
    def _reactions(self) -> dict[tuple[str, str], Reaction]:
        return {(r.service, event.TYPE): r for r in reversed(self.reactions) for event in r.awaits}

    def decides(self, reaction: Reaction) -> bool:
        """Whether `reaction` is a decision of the decider."""
        return reaction.decision and reaction.service == self.decider

    def only_records(self, reaction: Reaction) -> bool:
        """Whether the decider only records what it hears: it decides whatever becomes of that."""
        return reaction.service == self.decider and not (reaction.says or reaction.decision)

    @cached_property
    def forward(self) -> tuple[Reaction, ...]:
        """The reactions that do something before a cancellation is known, except undoings."""
        before: set[EventClass] = {self.starts, self.cancel_asked}
        while True:
            reacting = [reaction for reaction in self.reactions if before.issuperset(reaction.awaits)]
            said = {event for reaction in reacting for event in reaction.says} - {self.cancelled}
            if said <= before:
                return tuple(r for r in reacting if not (r.undoes or self.only_records(r)))
            before |= said
