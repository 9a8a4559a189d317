"""Decides whether an instance needs a person: its orchestrator asks for one, or a message was given up. Pure.

An orchestrator asks for a person when an answer that nothing can replace has not come in time, until it comes. A
message that was given up (its retries were exhausted, it kept crashing its worker, or nothing says why) needs a
person until:

* its service has answered it, or has said the expected event for another reason: a refusal instead of the answer,
  a redrive, a decision taken on other grounds;
* or its service tries it again: a retry of the same message later in the stream than the dead letter can only
  come from a redrive. If it becomes a dead letter again, it needs a person again;
* or an operator has discarded, replayed or edited it, and the history says so;
* or the instance has since been cancelled and every undoing has answered: nothing that the message could cause is
  awaited any more. This does not hold for the cancellation itself, whose answers are awaited.

A reaction that says nothing and succeeds after a redrive by another tool leaves no trace in the history, so its
instance keeps the flag; the person who redrove it knows. Dead letters with any other reason were not worth acting
on and need nobody.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence

from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.messages import DeadLetter, Retry

# Of a dead letter without a reason nobody knows that it was not worth acting on.
GIVEN_UP = frozenset({"exhausted", "delivery_limit", "unknown"})

# The longest delay of a retry queue. A later time comes from a wrong clock.
LONGEST_WAIT = dt.timedelta(days=1)


def needs_a_person(saga: EventsOfSaga, set_aside: Iterable[DeadLetter], retried: Sequence[Retry] = ()) -> bool:
    """Whether the instance or any of these dead letters still needs a person, by this module's docstring."""
    return bool(saga.in_review) or any(
        letter.reason in GIVEN_UP
        and not letter.ended
        and not _answered(saga, letter)
        and not _sent_back(letter, retried)
        and not _over(saga, letter)
        for letter in set_aside
    )


def back_at(next: dt.datetime | None, at: dt.datetime) -> dt.datetime:
    """When a message retried at `at` comes back, limited to a plausible time; `next`: what the retry says."""
    return max(at, min(next or at, at + LONGEST_WAIT))


def _type(saga: EventsOfSaga, letter: DeadLetter) -> str | None:
    return letter.type or next((e.type for e in saga.events if _is_of(letter, e)), None)


def _is_of(letter: DeadLetter, event: HeardEvent) -> bool:
    return event.identity == (letter.source, letter.event_id)


def _answered(saga: EventsOfSaga, letter: DeadLetter) -> bool:
    if is_among(answered(saga), letter):
        return True
    type_ = _type(saga, letter)
    reaction = saga.choreography.reaction(letter.service, type_) if type_ else None
    if type_ is None or reaction is None:
        return False
    if reaction.decision:
        # A decision is taken once, whichever event causes it.
        return any(saga.said(said) for said in reaction.says)
    return saga.answer(letter.service, saga.choreography.event_types[type_]) is not None


def answered(saga: EventsOfSaga) -> set[tuple[str, str, str | None]]:
    """What was answered, as (service, event id, source); the source is None when the event was not heard."""
    found: set[tuple[str, str, str | None]] = set()
    for event in saga.events:
        if event.causationid:
            possible = saga.causes.possible(event)
            sources = [cause.source for cause in possible] if possible else [None]
            found |= {(event.service, event.causationid, source) for source in sources}
            found |= {(event.service, other.id, other.source) for other in _joined(saga, event, possible)}
    return found


def _joined(saga: EventsOfSaga, answer: HeardEvent, causes: Sequence[HeardEvent]) -> Iterator[HeardEvent]:
    """What `answer` also answers: it names one event of a join as its cause, and the step awaited all of them."""
    types = {cause.type for cause in causes}
    for reaction in saga.choreography.reactions_saying(answer.type):
        awaited = {event.TYPE for event in reaction.awaits}
        if len(awaited) > 1 and awaited & types:
            yield from (event for event in saga.events if event.type in awaited)


def is_among(answered: Collection[tuple[str, str, str | None]], message: Retry | DeadLetter) -> bool:
    """Whether `message` is among the `answered` ones."""
    event_id = message.event_id or ""
    return any((message.service, event_id, source) in answered for source in (message.source, None))


def _sent_back(letter: DeadLetter, retried: Sequence[Retry]) -> bool:
    return letter.event_id is not None and any(
        (r.service, r.event_id, r.source) == (letter.service, letter.event_id, letter.source)
        and r.offset > letter.offset
        for r in retried
    )


def is_over(choreography: Choreography, type_: str | None) -> bool:
    """Whether a message of `type_` no longer matters once its instance is cancelled and undone."""
    return type_ not in {None, choreography.cancelled.TYPE}


def _over(saga: EventsOfSaga, letter: DeadLetter) -> bool:
    return saga.cancelled and saga.undone and is_over(saga.choreography, _type(saga, letter))
