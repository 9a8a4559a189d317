"""Finds events of one instance that contradict each other or that the choreography does not allow. Pure.

Judged by who answers what, never by clocks; two facts contradict each other in whatever order they were heard.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from choregraphie.saga.choreography import Step
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A contradiction: the service at fault, and the event that shows it. `what`: the beginning of a sentence."""

    service: str
    reason: str
    what: str
    event: HeardEvent


def contradictions(saga: EventsOfSaga) -> list[Contradiction]:
    """The events of one instance that cannot all be true."""
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
        for event in _without_reviews(saga)
        if event.service in saga.choreography.services
        and (cause := saga.cause(event))
        and not saga.choreography.may_answer(event.type, cause.type)
    ]


def _without_reviews(saga: EventsOfSaga) -> Iterator[HeardEvent]:
    """The events but for requests for a person: a clock makes them, perhaps twice, whatever was heard."""
    review = saga.choreography.review
    return (event for event in saga.events if review is None or event.type != review.TYPE)


def _said_twice(saga: EventsOfSaga) -> Iterator[Contradiction]:
    choreography = saga.choreography
    decisions = {choreography.created.TYPE, choreography.cancelled.TYPE}
    by_fact: dict[tuple[str, str | None], dict[tuple[str, str], HeardEvent]] = defaultdict(dict)
    for event in _without_reviews(saga):
        if event.service in choreography.services:
            # A message to the customer may answer either decision; every other event occurs once per instance.
            several = len(choreography.reactions_saying(event.type)) > 1 and event.type not in decisions
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
    for event in _without_reviews(saga):
        # When two clients used the same id, it is unknown whose event was answered.
        if event.type in saga.choreography.command_types:
            continue  # an orchestrator may tell several services at once
        if event.causationid and event.service in saga.choreography.services and len(_named(saga, event)) < 2:
            by_cause[event.service, event.causationid][event.type] = event
    told = set()
    for (service, _), answers in by_cause.items():
        # A service that has several steps to undo gives an answer for each.
        if len(answers) > 1 and not answers.keys() <= saga.choreography.undoing_types.keys():
            told.add(service)
            yield _both(service, list(answers.values()), "in answer to one event")
    for step in saga.choreography.steps:
        ends = (step.success, step.refusal)
        if step.service not in told and all(map(saga.said, ends)) and _exclude(saga, step):
            types = {said.TYPE for said in ends if said}
            answers = {e.type: e for e in saga.events if e.type in types}
            yield _both(step.service, list(answers.values()), f"of one {saga.choreography.noun[0]}")


def _exclude(saga: EventsOfSaga, step: Step) -> bool:
    """Whether the step's success and refusal exclude each other. A created instance may be cancelled later."""
    choreography = saga.choreography
    if step.refusal is not choreography.cancelled:
        return True
    # A cancellation that answers one of these came before the creation. A client's demand, or a refusal of a step
    # after the creation, can also cancel an instance that was created.
    still_open = {choreography.starts.TYPE, *(before.success.TYPE for before in choreography.before_creation)}
    possible = (saga.causes.possible(e) for e in saga.events if e.type == choreography.cancelled.TYPE)
    return any(causes and all(cause.type in still_open for cause in causes) for causes in possible)


def _named(saga: EventsOfSaga, event: HeardEvent) -> list[HeardEvent]:
    return saga.causes.named(event.causationid)


def _both(service: str, answers: list[HeardEvent], how: str) -> Contradiction:
    words = " and ".join(sorted(answer.type for answer in answers))
    return Contradiction(service, "two_answers", f"{service} said both {words} {how}", answers[-1])


def _created_though_refused(saga: EventsOfSaga) -> Iterator[Contradiction]:
    choreography = saga.choreography
    created = saga.first(choreography.created)
    needed = choreography.before_creation
    refused = [step for step in needed if saga.refused(step) and not saga.said(step.success)]
    for step in refused if created else ():
        decider, no = choreography.decider, saga.first(step.refusal)
        if created and no:
            what = f"{decider} said {created.type}, and {step.service} had said {no.type}"
            yield Contradiction(decider, "created_though_refused", what, max(created, no, key=lambda e: e.offset))


def _no_such_decision(saga: EventsOfSaga) -> Iterator[Contradiction]:
    """Answers to a decision that was never said, of an instance for which the other decision was said.

    When no decision was heard, it may still be on its way; without a start event, it may have been trimmed.
    """
    if not saga.has_beginning:
        return
    created, cancelled = saga.choreography.created, saga.choreography.cancelled
    for never, said in ((created, cancelled), (cancelled, created)):
        if saga.said(never) or not saga.said(said):
            continue
        for event in saga.answers(never):
            # If its cause was heard, the event is reported as not allowed.
            if saga.cause(event) is None:
                which = f"{event.service} said {event.type}, which answers {never.TYPE}"
                what = f"{which}, and {saga.choreography.decider} never said that"
                yield Contradiction(event.service, "no_such_decision", what, event)


def _after_its_tombstone(saga: EventsOfSaga) -> Iterator[Contradiction]:
    """A step succeeded although its service had answered the undoing with "nothing to undo"."""
    for step in saga.choreography.undoings:
        empty = next((e for e in saga.events if step.undone and e.type == step.undone.TYPE and e.nothing), None)
        done = saga.first(step.success) if empty else None
        if empty and done:
            what = f"{step.service} answered {empty.type} with nothing to undo, and yet says {done.type}"
            yield Contradiction(step.service, "after_tombstone", what, done)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
