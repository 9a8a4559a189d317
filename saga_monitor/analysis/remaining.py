"""What an instance still awaits: steps, answers to a decision, what an orchestrator has to ask for. Pure."""

from collections.abc import Iterable, Iterator

from choregraphie.saga.choreography import EventClass, Step
from saga_monitor.analysis.events_of_saga import EventsOfSaga


def remaining(saga: EventsOfSaga) -> Iterator[str]:
    """The wire types that an instance still awaits, in their order."""
    choreography = saga.choreography
    if saga.must_be_cancelled:
        # A requested cancellation is always carried out, even after the creation, so its consequences are awaited.
        if not saga.cancelled:
            yield choreography.cancelled.TYPE
        yield from _unanswered(saga, choreography.cancelled)
        yield from _not_undone(saga)
    elif saga.said(choreography.created):
        yield from _unanswered(saga, choreography.created)
        yield from _not_reached(
            saga, (step for step in choreography.steps if choreography.created not in step.awaits)
        )
    else:
        yield from _not_reached(saga, choreography.steps)


def _not_reached(saga: EventsOfSaga, steps: Iterable[Step]) -> Iterator[str]:
    for step in steps:
        if not saga.reached(step):
            yield from (event.TYPE for event in step.awaits if event.SAID_TO and not saga.said(event))
            yield step.success.TYPE


def _not_undone(saga: EventsOfSaga) -> Iterator[str]:
    """What an orchestrator must still ask for, and the answers: undoings, the last step first, and notices."""
    for step in reversed(saga.choreography.undoings_due(saga.types)):
        if step.undo and step.undone and not saga.said(step.undone):
            yield from (event.TYPE for event in (step.undo,) if not saga.said(event))
            yield step.undone.TYPE
    for reaction in saga.choreography.notices:
        if all(map(saga.said, reaction.awaits)) and not saga.answer(reaction.service, reaction.awaits[0]):
            yield from (said.TYPE for said in reaction.says)


def _unanswered(saga: EventsOfSaga, decision: EventClass) -> Iterator[str]:
    """Wire types of the events that must still answer `decision`."""
    for service in saga.choreography.services:
        reaction = saga.choreography.reaction(service, decision.TYPE)
        says = reaction.says if reaction else ()
        # A service that has several steps to undo answers for each of them.
        undone = [step.undone for step in saga.choreography.undoings if step.service == service]
        if answers := [said for said in undone if said in says]:
            yield from (said.TYPE for said in answers if said and not saga.said(said))
        elif says and not saga.answer(service, decision):
            yield says[0].TYPE
