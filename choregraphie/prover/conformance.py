"""Conformance: the services' tables of reactions against the declared choreography. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace
from choregraphie.saga.choreography import Choreography, EventClass, Reaction
from choregraphie.service.service import Handler, Service


def violations(
    choreography: Choreography, space: StateSpace, services: Mapping[str, Service]
) -> Iterator[Violation]:
    for name in choreography.services:
        if name not in services:
            remedy = f"write services/{name} and add it to services/application.py"
            yield Violation(Rule.AS_DECLARED, f"{name} is declared, and there is no such service", name, remedy)
    for name, service in services.items():
        if name not in choreography.services:
            remedy = "declare its step and its reactions in contracts/choreography.py"
            yield Violation(
                Rule.AS_DECLARED, f"{name} is a service that the choreography does not declare", name, remedy
            )
            continue
        yield from _lines(choreography, space, service)
        yield from _clock(choreography, service)


def _lines(choreography: Choreography, space: StateSpace, service: Service) -> Iterator[Violation]:
    heard = [handler.hears for handler in service.reactions]
    for reaction in choreography.heard_by(service.name):
        if reaction.hears not in heard:
            what = f"{service.name} is declared to hear {reaction.hears.TYPE}, and its table has no reaction to it"
            remedy = f"add on({reaction.hears.__name__}, …) to its REACTIONS"
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy, space.path_to_hearing(reaction))
    for handler in service.reactions:
        declared = choreography.reaction(service.name, handler.hears.TYPE)
        if declared is None:
            what = f"{service.name} hears {handler.hears.TYPE}, which the choreography does not declare"
            remedy = f'declare Reaction("{service.name}", {handler.hears.__name__}, …), or remove the reaction'
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy)
            continue
        for word, code, wanted in _differences(service, handler, declared):
            what = f"{service.name}.{handler.action} {word} {_names(code)}; declared: {_names(wanted)}"
            remedy = "make the table and contracts/choreography.py agree"
            yield Violation(Rule.AS_DECLARED, what, service.name, remedy, space.path_to_hearing(declared))


Events = frozenset[EventClass]


def _differences(service: Service, handler: Handler, declared: Reaction) -> Iterator[tuple[str, Events, Events]]:
    refusal = _set(declared.refusal)
    undone = frozenset(other.hears for other in service.reactions if other.do in handler.undoes)
    for word, code, wanted in (
        ("says", handler.says(), frozenset(declared.says)),
        ("gives up with", _set(handler.gives_up), refusal),
        ("undoes what was done on", undone, frozenset(declared.undoes)),
    ):
        if code != wanted:
            yield word, code, wanted


def _clock(choreography: Choreography, service: Service) -> Iterator[Violation]:
    said = frozenset(event for handler in service.timed for event in handler.says())
    timed = (t for t in choreography.timed if t.service == service.name)
    wanted = frozenset(event for t in timed for event in t.says)
    if said != wanted:
        what = f"{service.name}'s clock says {_names(said)}; declared: {_names(wanted)}"
        remedy = "make its TIMED and contracts/choreography.py agree"
        yield Violation(Rule.AS_DECLARED, what, service.name, remedy)


def _set(event: EventClass | None) -> Events:
    return frozenset() if event is None else frozenset({event})


def _names(events: Iterable[EventClass]) -> str:
    return ", ".join(sorted(event.TYPE for event in events)) or "nothing"
