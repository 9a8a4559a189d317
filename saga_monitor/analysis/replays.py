"""Predicts from the history what the replay of a dead letter would do. Pure.

`dlq replay` asks the databases of the services instead, which know more: the history lacks what says nothing.
"""

from collections.abc import Collection

from choregraphie.dead_letters.effect import Effect, Prediction
from choregraphie.saga.topology import EDITED_HEADER
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.interventions import GIVEN_UP
from saga_monitor.analysis.messages import DeadLetter


def predict(letter: DeadLetter, saga: EventsOfSaga | None, foreign: Collection[str]) -> Prediction:
    """What a replay of `letter` would do to its instance, None when it has none. `foreign`: services of others."""
    if letter.service in foreign:
        return Prediction(Effect.UNKNOWN, f"{letter.service} is run by others")
    if letter.reason not in GIVEN_UP and not _is_edited(letter):
        return Prediction(Effect.SET_ASIDE_AGAIN, f"{letter.service} refuses it as before; it can be edited")
    handles = Prediction(Effect.RUNS, f"{letter.service} handles {letter.type or 'the message'}")
    if saga is None:
        return handles
    answer = _answer(letter, saga)
    if answer is not None:
        refused = any(step.refusal and answer.type == step.refusal.TYPE for step in saga.choreography.steps)
        said = f"{letter.service} has said {answer.type}"
        return Prediction(Effect.TOMBSTONED if refused else Effect.DONE, f"{said}: the replay has no effect")
    if saga.cancelled and _is_forward(letter, saga):
        return Prediction(Effect.ENDED, f"the {saga.choreography.noun[0]} is cancelled")
    return handles


def _is_edited(letter: DeadLetter) -> bool:
    return letter.copy is not None and EDITED_HEADER in letter.copy.headers


def _answer(letter: DeadLetter, saga: EventsOfSaga) -> HeardEvent | None:
    """The event with which the service has answered the message before."""
    if letter.event_id is None:
        return None
    of_service = [event for event in saga.events if event.service == letter.service]
    return next((event for event in of_service if event.causationid == letter.event_id), None)


def _is_forward(letter: DeadLetter, saga: EventsOfSaga) -> bool:
    reaction = saga.choreography.reaction(letter.service, letter.type) if letter.type else None
    return reaction in saga.choreography.forward
