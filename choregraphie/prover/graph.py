"""The choreography as a picture without a format: events in lanes, and what leads to what. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.choreography import Choreography, EventClass, Reaction


class Kind(StrEnum):
    """What an event is in the saga; an arrow has the kind of what it leads to."""

    FORWARD = "forward"
    REFUSAL = "refusal"
    CREATED = "created"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    CLOCK = "clock"
    NOTE = "note"


KINDS = {
    Kind.FORWARD: "a step",
    Kind.REFUSAL: "a refusal, or a demand to cancel",
    Kind.CREATED: "the order is created",
    Kind.CANCELLED: "the order is cancelled",
    Kind.UNDOING: "an undoing's answer",
    Kind.CLOCK: "a deadline",
    Kind.NOTE: "heard, and nothing said",
}


@dataclass(frozen=True)
class Node:
    """`key` is unique and made of letters, digits and underscores."""

    key: str
    lane: str
    label: str
    kind: Kind


@dataclass(frozen=True)
class Graph:
    """`arrows` are pairs of keys; `lanes` in order; `decider` is the lane that decides."""

    lanes: tuple[str, ...]
    decider: str
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str], ...]

    @property
    def by_key(self) -> dict[str, Node]:
        return {node.key: node for node in self.nodes}


def picture(choreography: Choreography) -> Graph:
    """Events where they are said, clocks where they run, notes where an event is heard and nothing said.

    What the decider may say on hearing the order itself is left out: it does so only when something has
    overtaken the order, and the arrows from what did are there. So is what starts a clock that the order itself
    starts: it does so only when it has overtaken the order.
    """
    nodes = [_event(event, choreography) for event in choreography.events]
    nodes += [Node(_clock(timed.service), timed.service, "deadline", Kind.CLOCK) for timed in choreography.timed]
    nodes += [
        Node(_note(reaction), reaction.service, "takes note", Kind.NOTE)
        for reaction in choreography.reactions
        if not reaction.says
    ]
    arrows = tuple(dict.fromkeys(_arrows(choreography)))
    # A declaration that is not finished yet may lack a step, and is drawn all the same.
    lanes = tuple(dict.fromkeys((*choreography.speakers, *(node.lane for node in nodes))))
    return Graph(lanes, choreography.decider, tuple(dict.fromkeys(nodes)), arrows)


def _event(event: EventClass, choreography: Choreography) -> Node:
    return Node(_key(event), event.SAID_BY, event.TYPE, _kind(event, choreography))


def _kind(event: EventClass, choreography: Choreography) -> Kind:
    if event in (choreography.created, choreography.cancelled):
        return Kind.CREATED if event is choreography.created else Kind.CANCELLED
    if event in choreography.refusals or event is choreography.cancel_asked:
        return Kind.REFUSAL
    return Kind.UNDOING if event.TYPE in choreography.undoing_types else Kind.FORWARD


def _arrows(choreography: Choreography) -> Iterator[tuple[str, str]]:
    for timed in choreography.timed:
        starts = choreography.starts
        for event in (starts,) if starts in timed.after else timed.after:
            yield _key(event), _clock(timed.service)
        for event in timed.says:
            yield _clock(timed.service), _key(event)
    for reaction in choreography.reactions:
        if reaction.decision and reaction.hears is choreography.starts:
            continue
        for event in reaction.says:
            yield _key(reaction.hears), _key(event)
        if not reaction.says:
            yield _key(reaction.hears), _note(reaction)


def _key(event: EventClass) -> str:
    return event.TYPE.replace(".", "_")


def _clock(service: str) -> str:
    return f"{service}_clock"


def _note(reaction: Reaction) -> str:
    return f"{reaction.service}_notes_{_key(reaction.hears)}"


def columns(shown: Graph) -> dict[str, int]:
    """How many arrows away from a beginning each node is at most; an arrow that closes a ring is left out."""
    found: dict[str, int] = {}
    causes: dict[str, list[str]] = {node.key: [] for node in shown.nodes}
    for source, target in shown.arrows:
        causes[target].append(source)

    def column(key: str, on_the_way: tuple[str, ...]) -> int:
        if key not in found:
            before = [c for c in causes[key] if c not in on_the_way and c != key]
            found[key] = 1 + max((column(c, (*on_the_way, key)) for c in before), default=-1)
        return found[key]

    for node in shown.nodes:
        column(node.key, ())
    return found


def in_lane(nodes: Iterable[Node], lane: str) -> list[Node]:
    return [node for node in nodes if node.lane == lane]
