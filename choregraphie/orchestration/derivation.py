"""Derives an orchestrated saga from a choreography, where that is sound: the decider becomes the orchestrator.

A service keeps its reactions. Each hears a command in place of its events; the command has the name of the
reaction, and carries those events whole. What only the decider did is done by the state machine.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import create_model

from choregraphie.orchestration.declaration import BadOrchestration, Notice, Orchestration, Step
from choregraphie.saga import choreography as saga_of
from choregraphie.saga.choreography import Choreography, EventClass, Reaction
from choregraphie.saga.envelope import Event
from choregraphie.service.service import Handler, Service


@dataclass(frozen=True)
class Derived:
    """The orchestration, and the services that it commands, each with the table of its commands."""

    orchestration: Orchestration
    services: tuple[Service, ...]


def derived(
    saga: Choreography,
    services: Mapping[str, Service],
    facts: Mapping[str, Callable[[Any], Any]] | None = None,
    **more: Any,
) -> Derived:
    """The orchestrated kind of `saga`. Raises BadOrchestration, in one line, where that would be another saga.

    facts  fields of the decisions that only the decider knew, computed from the instance
    more   further fields of the Orchestration
    """
    for problem in problems(saga, services):
        raise BadOrchestration(f"deriving {saga.name}: {problem}")
    commands = _Commands(saga, services)
    orchestration = Orchestration(
        name=saga.name,
        noun=saga.noun,
        service=saga.decider,
        starts=saga.starts,
        cancel_asked=saga.cancel_asked,
        steps=tuple(_steps(saga, commands)),
        on_created=tuple(_notices(saga, commands, saga.created)),
        on_cancelled=tuple(_notices(saga, commands, saga.cancelled)),
        searched=saga.searched,
        facts=facts or {},
        **more,
    )
    others = (service for name, service in services.items() if name != saga.decider)
    return Derived(orchestration, tuple(commands.commanded(service) for service in others))


def problems(saga: Choreography, services: Mapping[str, Service]) -> Iterator[str]:
    """What keeps `saga` from being orchestrated by its decider alone, each with the remedy."""
    own = "write its Orchestration and its commands by hand"
    decision = saga.decision
    begins = saga.begins(decision) if decision else None
    if begins is None or set(begins.says) != {saga.created}:
        yield f"{saga.decider} decides by rules of its own, which an orchestrator does not have; {own}"
    for name, service in services.items():
        if service.foreign:
            yield f"{name} is run by others, who must hear commands first; {own}"
    for step in saga.steps:
        if step is not decision:
            yield from _step_problems(saga, step)
    known = {id(reaction) for reaction in _of_steps(saga)}
    for reaction in saga.reactions:
        notice = reaction.awaits in {(saga.created,), (saga.cancelled,)}
        if id(reaction) not in known and not notice and reaction.service != saga.decider:
            yield f"{reaction.service} hears {reaction.awaited} and has no step that begins with it; add the step"


def _step_problems(saga: Choreography, step: saga_of.Step) -> Iterator[str]:
    if any(event is saga.created for event in step.awaits):
        return
    if step not in saga.before_creation:
        yield f"{saga.decider} does not wait for {step.name}, and an orchestrator would; let a later step await it"
    if step.undone is None:
        yield f"the step {step.name} has no undoing; give it undone= or let it come after {saga.created.TYPE}"
    if sum(other.service == step.service for other in saga.undoings) > 1:
        yield f"{step.service} undoes several steps together, and an orchestrator one after another; part them"


def _of_steps(saga: Choreography) -> Iterator[Reaction]:
    for step in saga.steps:
        if (reaction := saga.begins(step)) is not None:
            yield reaction
        undoing = saga.reaction(step.service, saga.cancelled.TYPE) if step.undone else None
        if undoing is not None:
            yield undoing


def _steps(saga: Choreography, commands: "_Commands") -> Iterator[tuple[Step, ...]]:
    """The steps in groups: a step comes after all that it awaits, and those of one group run in parallel."""
    known: set[EventClass] = {saga.starts}
    left = [step for step in saga.steps if step is not saga.decision]
    while ready := [step for step in left if known.issuperset(step.awaits)]:
        yield tuple(commands.step(step) for step in ready)
        known |= {step.success for step in ready}
        left = [step for step in left if step not in ready]
        if saga.created not in known and all(saga.created in step.awaits for step in left):
            yield (commands.pivot(),)
            known.add(saga.created)


def _notices(saga: Choreography, commands: "_Commands", decision: EventClass) -> Iterator[Notice]:
    known = {id(reaction) for reaction in _of_steps(saga)}
    for reaction in saga.reactions:
        if reaction.awaits == (decision,) and id(reaction) not in known and reaction.service != saga.decider:
            undoes = tuple(commands.of(saga.reaction(reaction.service, one.TYPE)) for one in reaction.undoes)
            yield Notice(commands.of(reaction), reaction.says, undoes)


class _Commands:
    """The commands of one derivation, each made once."""

    def __init__(self, saga: Choreography, services: Mapping[str, Service]) -> None:
        self._saga = saga
        self._services = services
        self._made: dict[tuple[str, tuple[EventClass, ...]], EventClass] = {}

    def of(self, reaction: Reaction | None) -> EventClass:
        """The command for what `reaction` hears."""
        assert reaction is not None  # noqa: S101 - the choreography was checked
        return self._command(reaction.service, reaction.awaits)

    def step(self, step: saga_of.Step) -> Step:
        """The orchestrated step."""
        undoing = self._saga.reaction(step.service, self._saga.cancelled.TYPE) if step.undone else None
        return Step(
            step.name,
            self.of(self._saga.begins(step)),
            step.success,
            step.refusal,
            self.of(undoing) if undoing else None,
            step.undone,
        )

    def pivot(self) -> Step:
        """The decision, which the orchestrator takes itself."""
        created, cancelled, decision = self._saga.created, self._saga.cancelled, self._saga.decision
        assert decision is not None  # noqa: S101 - `problems` requires it
        return Step(decision.name, created, created, undoing=cancelled, undone=cancelled, pivot=True)

    def commanded(self, service: Service) -> Service:
        """`service` with the table of its commands."""
        reactions: dict[Any, Any] = {handler.do: _hearing_command(handler.do) for handler in service.reactions}
        lines = (self._line(service, handler, reactions) for handler in service.reactions)
        return replace(service, reactions=tuple(lines))

    def _line(self, service: Service, handler: Handler, reactions: dict[Any, Any]) -> Handler:
        return replace(
            handler,
            hears=(self._command(service.name, handler.hears),),
            do=reactions[handler.do],
            reads=tuple(_hearing_command(read) for read in handler.reads),
            undoes=tuple(reactions[undone] for undone in handler.undoes),
            call=_hearing_command(handler.call) if handler.call else None,
        )

    def _command(self, service: str, heard: tuple[EventClass, ...]) -> EventClass:
        if (service, heard) not in self._made:
            handler = self._services[service].on(heard[0].TYPE)
            assert handler is not None  # noqa: S101 - the choreography was checked
            self._made[service, heard] = self._make(f"{service}.{handler.action}", service, heard)
        return self._made[service, heard]

    def _make(self, type_: str, service: str, heard: tuple[EventClass, ...]) -> EventClass:
        saga = self._saga
        key = saga.starts.model_fields[saga.key].rebuild_annotation()
        carried: dict[str, Any] = {event.TYPE.replace(".", "_"): (event, ...) for event in heard}
        about = {"SAGA": saga.name, "KEY": saga.key, "TYPE": type_, "SAID_BY": saga.decider, "SAID_TO": service}
        base: Any = type("Command", (Event,), {"__module__": __name__, **about})
        name = "".join(word.title() for word in type_.split("."))
        doc = f"Do what is done on {' and '.join(event.TYPE for event in heard)}."
        fields: dict[str, Any] = {saga.key: (key, ...), **carried}
        return cast("EventClass", create_model(name, __base__=base, __doc__=doc, **fields))


def _hearing_command(do: Callable[..., Any]) -> Callable[..., Any]:
    """`do`, which hears an event or several, as a function of the command that carries them."""

    @functools.wraps(do)
    def hear(command: Event, *others: Any) -> Any:
        events = tuple(value for name, value in command if name != command.KEY)
        return do(events[0] if len(events) == 1 else events, *others)

    return hear
