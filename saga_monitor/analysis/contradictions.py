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
    """The steps that must succeed before an order is created, the last one first."""
    called_by = next(step.after for step in CHOREOGRAPHY.steps if step.success is CHOREOGRAPHY.created)
    while before := next((step for step in CHOREOGRAPHY.steps if step.success is called_by), None):
        yield before
        called_by = before.after


_BEFORE_CREATION = tuple(_before_creation())
# If a cancellation answers one of these, the order had not been created. A client's cancellation, or a refusal of
# a step after the creation, can also cancel an order that was created.
_STILL_OPEN = {CHOREOGRAPHY.starts.TYPE, *(step.success.TYPE for step in _BEFORE_CREATION)}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A contradiction: the service at fault, and the event that shows it. `what`: the beginning of a sentence."""

    service: str
    reason: str
    what: str
    event: HeardEvent


def contradictions(saga: EventsOfSaga) -> list[Contradiction]:
    """The events of one order that cannot all be true."""
    return [
        *_said_twice(saga),
        *_two_answers(saga),
        *_created_though_refused(saga),
        *_no_such_decision(saga),
        *_after_its_tombstone(saga),
    ]


def not_allowed(saga: EventsOfSaga) -> list[Contradiction]:
    """The events that answer something which the choreography does not let them answer."""
    return [
        Contradiction(
            event.service,
            "wrong_cause",
            f"{event.service} said {event.type} in answer to {cause.type}, which the choreography does not allow",
            event,
        )
        for event in saga.events
        if event.service in CHOREOGRAPHY.services
        and (cause := saga.cause(event))
        and not may_answer(event.type, cause.type)
    ]


def _said_twice(saga: EventsOfSaga) -> Iterator[Contradiction]:
    by_fact: dict[tuple[str, str | None], dict[tuple[str, str], HeardEvent]] = defaultdict(dict)
    for event in saga.events:
        if event.service in CHOREOGRAPHY.services:
            # A message to the customer may answer either decision; every other event occurs once per order.
            several = len(CAUSES.get(event.type, ())) > 1 and event.type not in _DECISIONS
            # Without a cause it may answer the other decision, so it proves nothing.
            by_fact[event.type, (event.causationid or event.id) if several else None][event.identity] = event
    for (type_, _), events in by_fact.items():
        if len(events) > 1:
            last = list(events.values())[-1]
            yield Contradiction(
                last.service, "said_twice", f"{last.service} said {type_} {_times(len(events))}", last
            )


def _two_answers(saga: EventsOfSaga) -> Iterator[Contradiction]:
    by_cause: dict[tuple[str, str], dict[str, HeardEvent]] = defaultdict(dict)
    for event in saga.events:
        # When two clients used the same id, it is unknown whose event was answered.
        if event.causationid and event.service in CHOREOGRAPHY.services and len(_named(saga, event)) < 2:
            by_cause[event.service, event.causationid][event.type] = event
    told = set()
    for (service, _), answers in by_cause.items():
        if len(answers) > 1:
            told.add(service)
            yield _both(service, list(answers.values()), "in answer to one event")
    for step in CHOREOGRAPHY.steps:
        ends = (step.success, step.refusal)
        if step.service not in told and all(map(saga.said, ends)) and _exclude(saga, step):
            types = {said.TYPE for said in ends if said}
            answers = {e.type: e for e in saga.events if e.type in types}
            yield _both(step.service, list(answers.values()), "of one order")


def _exclude(saga: EventsOfSaga, step: Step) -> bool:
    """Whether the step's success and refusal exclude each other. A created order may be cancelled later."""
    if step.refusal is not CHOREOGRAPHY.cancelled:
        return True
    possible = (saga.causes.possible(e) for e in saga.events if e.type == CHOREOGRAPHY.cancelled.TYPE)
    return any(causes and all(cause.type in _STILL_OPEN for cause in causes) for causes in possible)


def _named(saga: EventsOfSaga, event: HeardEvent) -> list[HeardEvent]:
    return saga.causes.named(event.causationid)


def _both(service: str, answers: list[HeardEvent], how: str) -> Contradiction:
    words = " and ".join(sorted(answer.type for answer in answers))
    return Contradiction(service, "two_answers", f"{service} said both {words} {how}", answers[-1])


def _created_though_refused(saga: EventsOfSaga) -> Iterator[Contradiction]:
    created = saga.first(CHOREOGRAPHY.created)
    refused = [step for step in _BEFORE_CREATION if saga.refused(step) and not saga.said(step.success)]
    for step in refused if created else ():
        decider, no = CHOREOGRAPHY.decider, saga.first(step.refusal)
        if created and no:
            what = f"{decider} said {created.type}, and {step.service} had said {no.type}"
            yield Contradiction(decider, "created_though_refused", what, max(created, no, key=lambda e: e.offset))


def _no_such_decision(saga: EventsOfSaga) -> Iterator[Contradiction]:
    """Answers to a decision that was never said, of an order for which the other decision was said.

    When no decision was heard, it may still be on its way; without a start event, it may have been trimmed.
    """
    if not saga.said(CHOREOGRAPHY.starts):
        return
    for never, said in (
        (CHOREOGRAPHY.created, CHOREOGRAPHY.cancelled),
        (CHOREOGRAPHY.cancelled, CHOREOGRAPHY.created),
    ):
        if saga.said(never) or not saga.said(said):
            continue
        for event in saga.answers(never):
            # If its cause was heard, the event is reported as not allowed.
            if saga.cause(event) is None:
                which = f"{event.service} said {event.type}, which answers {never.TYPE}"
                what = f"{which}, and {CHOREOGRAPHY.decider} never said that"
                yield Contradiction(event.service, "no_such_decision", what, event)


def _after_its_tombstone(saga: EventsOfSaga) -> Iterator[Contradiction]:
    """A step succeeded although its service had answered the undoing with "nothing to undo"."""
    for step in CHOREOGRAPHY.undoings:
        empty = next((e for e in saga.events if step.undone and e.type == step.undone.TYPE and e.nothing), None)
        done = saga.first(step.success) if empty else None
        if empty and done:
            what = f"{step.service} answered {empty.type} with nothing to undo, and yet says {done.type}"
            yield Contradiction(step.service, "after_tombstone", what, done)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
