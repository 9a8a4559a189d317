"""What a service hears and says: from its tables of reactions or, of a foreign service, as declared. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from choregraphie.saga.choreography import Choreography, EventClass
from choregraphie.service.service import Service
from choregraphie.service.verdict import RetryOverride

_USUAL_TRIES = RetryOverride()


@dataclass(frozen=True)
class ReceiveOperation:
    """What a service does about `event`, when all of `awaits` were heard."""

    event: EventClass
    awaits: tuple[EventClass, ...]
    summary: str
    says: Iterable[EventClass]
    undoes: Iterable[EventClass]
    refusal: EventClass | None
    retry: RetryOverride = _USUAL_TRIES


def receive_operations(service: Service, choreography: Choreography) -> Iterator[ReceiveOperation]:
    """One for each event of `choreography` that `service` hears."""
    return _declared(service, choreography) if service.foreign else _written(service, choreography)


def said_by_service(service: Service, choreography: Choreography) -> list[EventClass]:
    """The events that `service` says, in the order of the choreography."""
    if service.foreign:
        return [event for event in choreography.events if service.name == event.SAID_BY]
    said = {event for handler in service.reactions for event in handler.says()}
    said |= {event for handler in service.timed for event in handler.says()}
    return [event for event in choreography.events if event in said]


def _written(service: Service, choreography: Choreography) -> Iterator[ReceiveOperation]:
    for handler in service.reactions_of(choreography.name):
        undone = service.undone_by(handler)
        summary = f"{service.name}.{handler.action}"
        for event in handler.hears:
            yield ReceiveOperation(
                event, handler.hears, summary, handler.says(), undone, handler.gives_up, handler.retry
            )


def _declared(service: Service, choreography: Choreography) -> Iterator[ReceiveOperation]:
    for reaction in choreography.heard_by(service.name):
        summary = f"{service.name} hears {reaction.awaited}"
        for event in reaction.awaits:
            yield ReceiveOperation(
                event, reaction.awaits, summary, reaction.says, reaction.undoes, reaction.refusal
            )
