"""Decides whether dead letters and retries of an order still need a person. Pure.

A message that was given up (retries exhausted, or thrown out of a crash loop) calls for a person until one of:

* its service has answered it, or has said what the message called for in answer to something else: a refusal
  in place of the answer, a redrive, a decision taken on other grounds;
* its service tries it again: a retry of the same message that is later in the stream than the dead letter
  can only come of a redrive. Set aside once more, it calls again;
* the order has since been cancelled and every undoing has answered: nothing that the message could have led
  to is awaited any more. Not so for the cancellation itself, whose answers are.

A reaction that says nothing and succeeds when it is redriven leaves no trace in the history, so its order goes
on calling: a person sent it back, and a person knows. Every other reason of a dead letter says that the message
was not worth acting on, and calls for nobody.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent
from saga_monitor.analysis.messages import DeadLetter, Retry

GIVEN_UP = frozenset({"exhausted", "delivery_limit"})

# The longest delay that a retry queue may have: a clock that is further ahead is wrong.
LONGEST_WAIT = dt.timedelta(days=1)


def needs_a_person(heard: EventsOfSaga, set_aside: Iterable[DeadLetter], retried: Sequence[Retry] = ()) -> bool:
    """Whether any of these dead letters still calls for a person: the rule is this module's docstring."""
    return any(
        letter.reason in GIVEN_UP
        and not _answered(heard, letter)
        and not _sent_back(letter, retried)
        and not _over(heard, letter)
        for letter in set_aside
    )


def back_at(next: dt.datetime | None, at: dt.datetime) -> dt.datetime:
    """Until when a message that was retried at `at` is known to wait, if it says `next`."""
    return max(at, min(next or at, at + LONGEST_WAIT))


def _type(heard: EventsOfSaga, letter: DeadLetter) -> str | None:
    return letter.type or next((e.type for e in heard.events if _is_of(letter, e)), None)


def _is_of(letter: DeadLetter, event: HeardEvent) -> bool:
    return event.identity == (letter.source, letter.event_id)


def _answered(heard: EventsOfSaga, letter: DeadLetter) -> bool:
    if is_among(answered(heard), letter):
        return True
    type_ = _type(heard, letter)
    reaction = CHOREOGRAPHY.reaction(letter.service, type_) if type_ else None
    if reaction is None:
        return False
    if reaction.decision:
        # A decision is taken once, whichever event it answers.
        return any(heard.said(said) for said in reaction.says)
    return heard.answer(letter.service, CHOREOGRAPHY.event_types[reaction.hears.TYPE]) is not None


def answered(heard: EventsOfSaga) -> set[tuple[str, str, str | None]]:
    """What was answered: service, id and source of the event, the source None when the event was not heard."""
    found: set[tuple[str, str, str | None]] = set()
    for event in heard.events:
        if event.causationid:
            possible = heard.causes.possible(event)
            sources = [cause.source for cause in possible] if possible else [None]
            found |= {(event.service, event.causationid, source) for source in sources}
    return found


def is_among(answered: Collection[tuple[str, str, str | None]], message: Retry | DeadLetter) -> bool:
    """Whether `message` is one of those that were answered."""
    event_id = message.event_id or ""
    return any((message.service, event_id, source) in answered for source in (message.source, None))


def _sent_back(letter: DeadLetter, retried: Sequence[Retry]) -> bool:
    return letter.event_id is not None and any(
        (r.service, r.event_id, r.source) == (letter.service, letter.event_id, letter.source)
        and r.offset > letter.offset
        for r in retried
    )


def is_over(type_: str | None) -> bool:
    """Whether nothing that a message of `type_` can lead to is awaited of an order cancelled and undone."""
    return type_ not in {None, CHOREOGRAPHY.cancelled.TYPE}


def _over(heard: EventsOfSaga, letter: DeadLetter) -> bool:
    return heard.cancelled and heard.undone and is_over(_type(heard, letter))
