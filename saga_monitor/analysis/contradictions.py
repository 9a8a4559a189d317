"""Finds events of one order that contradict each other or that the choreography does not allow. Pure.

Judged by who answers what, never by clocks; two facts contradict each other in whatever order they were heard.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from choregraphie.saga.choreography import Step
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.causation import CAUSES, may_answer
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent

_DECISIONS = {CHOREOGRAPHY.created.TYPE, CHOREOGRAPHY.cancelled.TYPE}


def _before_creation() -> Iterator[Step]:
    """The steps that must have succeeded before an order is created, the last first."""
    called_by = next(step.after for step in CHOREOGRAPHY.steps if step.success is CHOREOGRAPHY.created)
    while before := next((step for step in CHOREOGRAPHY.steps if step.success is called_by), None):
        yield before
        called_by = before.after


_BEFORE_CREATION = tuple(_before_creation())
# An order that is cancelled in answer to one of these had not been created: a demand or a refusal of a step that
# the creation does not need can also end one that was.
_STILL_OPEN = {CHOREOGRAPHY.starts.TYPE, *(step.success.TYPE for step in _BEFORE_CREATION)}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is wrong, whose doing it is, and the event that shows it; `what` is the sentence's beginning."""

    service: str
    reason: str
    what: str
    event: HeardEvent


def contradictions(heard: EventsOfSaga) -> list[Contradiction]:
    """Facts that cannot both be true of one order."""
    return [
        *_said_twice(heard),
        *_two_answers(heard),
        *_created_though_refused(heard),
        *_no_such_decision(heard),
        *_after_its_tombstone(heard),
    ]


def not_allowed(heard: EventsOfSaga) -> list[Contradiction]:
    """Events in answer to something that the choreography does not let them answer."""
    return [
        Contradiction(
            event.service,
            "wrong_cause",
            f"{event.service} said {event.type} in answer to {cause.type}, which the choreography does not allow",
            event,
        )
        for event in heard.events
        if event.service in CHOREOGRAPHY.services
        and (cause := heard.cause(event))
        and not may_answer(event.type, cause.type)
    ]


def _said_twice(heard: EventsOfSaga) -> Iterator[Contradiction]:
    by_fact: dict[tuple[str, str | None], dict[tuple[str, str], HeardEvent]] = defaultdict(dict)
    for event in heard.events:
        if event.service in CHOREOGRAPHY.services:
            # A message may answer either decision; everything else is said once in an order's life.
            several = len(CAUSES.get(event.type, ())) > 1 and event.type not in _DECISIONS
            # One without a cause may answer the other decision: then nothing can be said of it.
            by_fact[event.type, (event.causationid or event.id) if several else None][event.identity] = event
    for (type_, _), events in by_fact.items():
        if len(events) > 1:
            last = list(events.values())[-1]
            yield Contradiction(
                last.service, "said_twice", f"{last.service} said {type_} {_times(len(events))}", last
            )


def _two_answers(heard: EventsOfSaga) -> Iterator[Contradiction]:
    by_cause: dict[tuple[str, str], dict[str, HeardEvent]] = defaultdict(dict)
    for event in heard.events:
        # Of an id that two clients have used, nobody can tell whose event was answered.
        if event.causationid and event.service in CHOREOGRAPHY.services and len(_named(heard, event)) < 2:
            by_cause[event.service, event.causationid][event.type] = event
    told = set()
    for (service, _), answers in by_cause.items():
        if len(answers) > 1:
            told.add(service)
            yield _both(service, list(answers.values()), "in answer to one event")
    for step in CHOREOGRAPHY.steps:
        ends = (step.success, step.refusal)
        if step.service not in told and all(map(heard.said, ends)) and _exclude(heard, step):
            types = {said.TYPE for said in ends if said}
            answers = {e.type: e for e in heard.events if e.type in types}
            yield _both(step.service, list(answers.values()), "of one order")


def _exclude(heard: EventsOfSaga, step: Step) -> bool:
    """Whether the step's success and its refusal cannot both be true: an order created may be cancelled later."""
    if step.refusal is not CHOREOGRAPHY.cancelled:
        return True
    possible = (heard.causes.possible(e) for e in heard.events if e.type == CHOREOGRAPHY.cancelled.TYPE)
    return any(causes and all(cause.type in _STILL_OPEN for cause in causes) for causes in possible)


def _named(heard: EventsOfSaga, event: HeardEvent) -> list[HeardEvent]:
    return heard.causes.named(event.causationid)


def _both(service: str, answers: list[HeardEvent], how: str) -> Contradiction:
    words = " and ".join(sorted(answer.type for answer in answers))
    return Contradiction(service, "two_answers", f"{service} said both {words} {how}", answers[-1])


def _created_though_refused(heard: EventsOfSaga) -> Iterator[Contradiction]:
    created = heard.first(CHOREOGRAPHY.created)
    refused = [step for step in _BEFORE_CREATION if heard.refused(step) and not heard.said(step.success)]
    for step in refused if created else ():
        decider, no = CHOREOGRAPHY.decider, heard.first(step.refusal)
        if created and no:
            what = f"{decider} said {created.type}, and {step.service} had said {no.type}"
            yield Contradiction(decider, "created_though_refused", what, max(created, no, key=lambda e: e.offset))


def _no_such_decision(heard: EventsOfSaga) -> Iterator[Contradiction]:
    """An answer to a decision that was never said, of an order about which another was said.

    Of one that nothing was decided about, the decision may be on its way; of one without its beginning, trimmed.
    """
    if not heard.said(CHOREOGRAPHY.starts):
        return
    for never, said in (
        (CHOREOGRAPHY.created, CHOREOGRAPHY.cancelled),
        (CHOREOGRAPHY.cancelled, CHOREOGRAPHY.created),
    ):
        if heard.said(never) or not heard.said(said):
            continue
        for event in heard.answers(never):
            # An answer to something else that was heard is not allowed, and said to be.
            if heard.cause(event) is None:
                which = f"{event.service} said {event.type}, which answers {never.TYPE}"
                what = f"{which}, and {CHOREOGRAPHY.decider} never said that"
                yield Contradiction(event.service, "no_such_decision", what, event)


def _after_its_tombstone(heard: EventsOfSaga) -> Iterator[Contradiction]:
    """Nothing had been done when the undoing was answered, and yet it is said to be done: it came later."""
    for step in CHOREOGRAPHY.undoings:
        empty = next((e for e in heard.events if step.undone and e.type == step.undone.TYPE and e.nothing), None)
        done = heard.first(step.success) if empty else None
        if empty and done:
            what = f"{step.service} answered {empty.type} with nothing to undo, and yet says {done.type}"
            yield Contradiction(step.service, "after_tombstone", what, done)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
