"""Conformance: the services' tables of reactions against the declared choreography. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import Space
from choregraphie.prover.static_rules import class_names
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, names_of
from choregraphie.service.service import Handler, Service


def violations(choreography: Choreography, space: Space, services: Mapping[str, Service]) -> Iterator[Violation]:
    for name in choreography.services:
        if name not in services:
            remedy = f"write the service {name} and add it to the application"
            yield Violation(Rule.AS_DECLARED, f"{name} is declared, and there is no such service", name, remedy)
    for name, service in services.items():
        handlers = service.reactions_of(choreography.name)
        if service.foreign or (name not in choreography.services and not handlers):
            continue
        if name not in choreography.services:
            remedy = "declare its step and its reactions in the choreography"
            yield Violation(
                Rule.AS_DECLARED, f"{name} is a service that the choreography does not declare", name, remedy
            )
            continue
        yield from _lines(choreography, space, service, handlers)
        yield from _clock(choreography, service)


def _lines(
    choreography: Choreography, space: Space, service: Service, handlers: list[Handler]
) -> Iterator[Violation]:
    heard = [handler.hears for handler in handlers]
    for reaction in choreography.heard_by(service.name):
        if reaction.awaits not in heard:
            what = f"{service.name} is declared to hear {reaction.awaited}, and its table has no reaction to it"
            remedy = f"add on({class_names(reaction.awaits)}, …) to its REACTIONS"
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy, space.path_to_hearing(reaction))
    for handler in handlers:
        declared = choreography.reaction(service.name, handler.hears[0].TYPE)
        if declared is None or declared.awaits != handler.hears:
            what = f"{service.name} hears {names_of(handler.hears)}, which the choreography does not declare"
            remedy = f'declare Reaction("{service.name}", {class_names(handler.hears)}, …), or remove the reaction'
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy)
            continue
        for word, code, wanted in _differences(service, handler, declared):
            what = f"{service.name}.{handler.action} {word} {_names(code)}; declared: {_names(wanted)}"
            remedy = "make the table and the choreography agree"
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy, space.path_to_hearing(declared))


Events = frozenset[EventClass]


def _differences(service: Service, handler: Handler, declared: Reaction) -> Iterator[tuple[str, Events, Events]]:
    refusal = _set(declared.refusal)
    undone = frozenset(service.undone_by(handler))
    for word, code, wanted in (
        ("says", handler.says(), frozenset(declared.says)),
        ("gives up with", _set(handler.gives_up), refusal),
        ("undoes what was done on", undone, frozenset(declared.undoes)),
    ):
        if code != wanted:
            yield word, code, wanted


def _clock(choreography: Choreography, service: Service) -> Iterator[Violation]:
    said = frozenset(e for schedule in service.timed for e in schedule.says() if choreography.name == e.SAGA)
    timed = (t for t in choreography.timed if t.service == service.name)
    wanted = frozenset(event for t in timed for event in t.says)
    if said != wanted:
        what = f"{service.name}'s clock says {_names(said)}; declared: {_names(wanted)}"
        remedy = "make its TIMED and the choreography agree"
        yield Violation(Rule.AS_DECLARED, what, service.name, remedy)


def _set(event: EventClass | None) -> Events:
    return frozenset() if event is None else frozenset({event})


def _names(events: Iterable[EventClass]) -> str:
    return ", ".join(sorted(event.TYPE for event in events)) or "nothing"
