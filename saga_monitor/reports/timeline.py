"""The events of an instance as a tree, each under the event that it answers, with its retries. Pure."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from choregraphie.saga.choreography import Choreography
from saga_monitor.analysis.causation import Causes
from saga_monitor.analysis.clocks import without_wrong_clocks, wrong_clocks
from saga_monitor.analysis.events_of_saga import EventsOfSaga, HeardEvent, is_absurd
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.projection.queries import RecordedEvent

# An instance has about a dozen events. Of one that a client floods, the first ones are shown.
LONGEST = 500


@dataclass(slots=True)
class Node:
    """One event. `since_start_ms` and `took_ms` (since its cause) are None where a time is missing.

    `tone`: the role of the event: `undoing`, `refusal`, `end` or `step`.
    """

    event: RecordedEvent
    tone: str
    since_start_ms: int | None
    took_ms: int | None
    cause_unheard: bool
    retries: list[Retry] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    answers: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timeline:
    """`beginnings`: events whose cause was not heard. `retries`, `dead_letters`: those of unheard messages."""

    beginnings: Sequence[Node]
    retries: Sequence[Retry]
    dead_letters: Sequence[DeadLetter]
    left_out: int


def timeline(
    choreography: Choreography,
    events: Sequence[RecordedEvent],
    retries: Sequence[Retry],
    dead_letters: Sequence[DeadLetter],
) -> Timeline:
    """The events as a tree, under each cause in the order of the stream."""
    told = events[:LONGEST]
    causes = Causes(choreography, told)
    trusted, wrong = without_wrong_clocks(EventsOfSaga(choreography, map(_heard, told)))
    start = trusted.started
    nodes = {id(event): _node(choreography, event, causes.of(event), start, wrong) for event in told}
    answers: dict[int, list[RecordedEvent]] = defaultdict(list)
    for event in told:
        cause = causes.of(event)
        if cause is not None and cause is not event:
            answers[id(cause)].append(event)
    beginnings = list(_beginnings(told, causes, answers, nodes))
    first = {(event.source, event.id): nodes[id(event)] for event in reversed(told)}
    _attach(first, retries, dead_letters)
    return Timeline(
        beginnings,
        [retry for retry in retries if _of(first, retry) is None],
        [letter for letter in dead_letters if _of(first, letter) is None],
        len(events) - len(told),
    )


def _attach(
    first: Mapping[tuple[str, str], Node], retries: Sequence[Retry], dead_letters: Sequence[DeadLetter]
) -> None:
    """Puts each retry and dead letter under the event that it was made of."""
    for retry in retries:
        if (node := _of(first, retry)) is not None:
            node.retries.append(retry)
    for letter in dead_letters:
        if (node := _of(first, letter)) is not None:
            node.dead_letters.append(letter)


def _heard(event: RecordedEvent) -> HeardEvent:
    time, cause = event.time, event.causationid
    return HeardEvent(event.id, event.type, event.source, time, cause, offset=event.offset, source=event.source)


def _of(first: Mapping[tuple[str, str], Node], message: Retry | DeadLetter) -> Node | None:
    """The event that `message` was made of."""
    return first.get((message.source, message.event_id or ""))


def wrong_sources(choreography: Choreography, events: Sequence[RecordedEvent]) -> frozenset[str]:
    """The sources of these events whose clocks are wrong; their times are not used."""
    return wrong_clocks(EventsOfSaga(choreography, map(_heard, events[:LONGEST])))


def _node(
    choreography: Choreography,
    event: RecordedEvent,
    cause: RecordedEvent | None,
    start: dt.datetime | None,
    wrong: Collection[str],
) -> Node:
    known = cause is not None and not is_absurd(choreography, cause.type, cause.time, event.time)
    measured = known and cause is not None and not {cause.source, event.source}.intersection(wrong)
    took = _ms(cause.time, event.time) if cause and measured else None
    since = None if event.source in wrong else _ms(start, event.time)
    return Node(event, _tone(choreography, event.type), since, took, cause is None and bool(event.causationid))


def _tone(choreography: Choreography, type_: str) -> str:
    if type_ in choreography.undoing_types or type_ in choreography.asked_back:
        return "undoing"
    cancels = {choreography.cancelled.TYPE, choreography.cancel_asked.TYPE}
    cancels |= {said.TYPE for said in (choreography.review, choreography.asked_to_cancel) if said}
    if type_ in choreography.refusal_types | cancels:
        return "refusal"
    return "end" if type_ == choreography.created.TYPE else "step"


def _beginnings(
    told: Sequence[RecordedEvent],
    causes: Causes[RecordedEvent],
    answers: dict[int, list[RecordedEvent]],
    nodes: dict[int, Node],
) -> Iterator[Node]:
    placed: set[int] = set()
    first = [event for event in told if causes.of(event) in {None, event}]
    # Two events that claim to answer each other have no beginning: the first of them becomes one.
    for event in (*first, *told):
        if id(event) not in placed:
            yield nodes[id(event)]
            _place(event, answers, nodes, placed)


def _place(
    event: RecordedEvent, answers: dict[int, list[RecordedEvent]], nodes: dict[int, Node], placed: set[int]
) -> None:
    placed.add(id(event))
    waiting = [event]
    while waiting:
        cause = waiting.pop()
        for answer in answers[id(cause)]:
            if id(answer) not in placed:
                placed.add(id(answer))
                nodes[id(cause)].answers.append(nodes[id(answer)])
                waiting.append(answer)


def _ms(start: dt.datetime | None, end: dt.datetime | None) -> int | None:
    # Clocks may disagree by some milliseconds; a duration is never negative.
    return None if start is None or end is None else max(0, (end - start) // dt.timedelta(milliseconds=1))
