"""What the events of one order must never say together: contradictions, and what is not allowed. Pure.

Judged by who answers what, never by clocks; two facts contradict each other in whatever order they were heard.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.judging.hearing import CAUSES, Heard, Hearing

_DECISIONS = {CHOREOGRAPHY.created.TYPE, CHOREOGRAPHY.cancelled.TYPE}
_TIMED = {(said.TYPE, after.TYPE) for timed in CHOREOGRAPHY.timed for said in timed.says for after in timed.after}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, whose doing it is, and the event that shows it; `what` is the sentence's beginning."""

    service: str
    reason: str
    what: str
    event: Heard


def contradictions(heard: Hearing) -> list[Fault]:
    """Facts that cannot both be true of one order."""
    return [*_said_twice(heard), *_two_answers(heard), *_after_its_tombstone(heard)]


def not_allowed(heard: Hearing) -> list[Fault]:
    """Events in answer to something that the choreography does not let them answer."""
    return [
        Fault(
            event.service,
            "wrong_cause",
            f"{event.service} said {event.type} in answer to {cause.type}, which the choreography does not allow",
            event,
        )
        for event in heard.events
        if event.service in CHOREOGRAPHY.services and (cause := heard.cause(event)) and not _may(event, cause)
    ]


def _may(event: Heard, cause: Heard) -> bool:
    return cause.type in CAUSES.get(event.type, ()) or (event.type, cause.type) in _TIMED


def _said_twice(heard: Hearing) -> Iterator[Fault]:
    by_fact: dict[tuple[str, str | None], dict[str, Heard]] = defaultdict(dict)
    for event in heard.events:
        if event.service in CHOREOGRAPHY.services:
            # A message may answer either decision; everything else is said once in an order's life.
            several = len(CAUSES.get(event.type, ())) > 1 and event.type not in _DECISIONS
            # One without a cause may answer the other decision: then nothing can be said of it.
            by_fact[event.type, (event.causationid or event.id) if several else None][event.id] = event
    for (type_, _), events in by_fact.items():
        if len(events) > 1:
            last = list(events.values())[-1]
            yield Fault(last.service, "said_twice", f"{last.service} said {type_} {_times(len(events))}", last)


def _two_answers(heard: Hearing) -> Iterator[Fault]:
    by_cause: dict[tuple[str, str], dict[str, Heard]] = defaultdict(dict)
    for event in heard.events:
        if event.causationid and event.service in CHOREOGRAPHY.services:
            by_cause[event.service, event.causationid][event.type] = event
    for (service, _), answers in by_cause.items():
        if len(answers) > 1:
            words = " and ".join(sorted(answers))
            yield Fault(
                service,
                "two_answers",
                f"{service} said both {words} in answer to one event",
                list(answers.values())[-1],
            )


def _after_its_tombstone(heard: Hearing) -> Iterator[Fault]:
    """Nothing had been done when the undoing was answered, and yet it is said to be done: it came later."""
    for step in CHOREOGRAPHY.undoings:
        empty = next((e for e in heard.events if step.undone and e.type == step.undone.TYPE and e.nothing), None)
        done = heard.first(step.success) if empty else None
        if empty and done:
            what = f"{step.service} answered {empty.type} with nothing to undo, and yet says {done.type}"
            yield Fault(step.service, "after_tombstone", what, done)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
