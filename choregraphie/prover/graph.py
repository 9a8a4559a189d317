"""The choreography as a graph: one lane by speaker, and an arrow from each event to its answers. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.prover.identifiers import identifiers
from choregraphie.saga.choreography import Choreography, EventClass, Reaction


class Kind(StrEnum):
    """What an event is in the saga. An arrow has the kind of its target."""

    FORWARD = "forward"
    REFUSAL = "refusal"
    CREATED = "created"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    CLOCK = "clock"
    JOIN = "join"
    NOTE = "note"


KINDS = {
    Kind.FORWARD: "a step",
    Kind.REFUSAL: "a refusal, or a demand to cancel",
    Kind.CREATED: "the decider's yes",
    Kind.CANCELLED: "the decider's no",
    Kind.UNDOING: "an undoing's answer",
    Kind.CLOCK: "a deadline",
    Kind.JOIN: "waits for all of them",
    Kind.NOTE: "heard, and nothing said",
}


@dataclass(frozen=True)
class Node:
    """An event, a deadline, a join or a note. `key` is unique and made of letters, digits and underscores."""

    key: str
    lane: str
    label: str
    kind: Kind


@dataclass(frozen=True)
class Graph:
    """`arrows` are pairs of keys, source and target; `lanes` are in order; `decider` is the lane that decides."""

    lanes: tuple[str, ...]
    decider: str
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str], ...]

    @property
    def by_key(self) -> dict[str, Node]:
        return {node.key: node for node in self.nodes}


def graph_of(choreography: Choreography) -> Graph:
    """The graph of `choreography`: events in the lane of their speaker, deadlines and notes in their service's.

    A note stands for a reaction that says nothing, a join for one that waits for several events. Two kinds of
    arrow are left out, because they occur only when another event has overtaken the first one: from the first
    event to what the decider may say on hearing it, and from the other events to a deadline that the first starts.
    """
    described = dict.fromkeys(_described(choreography))
    arrows = dict.fromkeys(_arrows(choreography))
    ends = (end for arrow in arrows for end in arrow)
    keys = identifiers([*(item for item, *_ in described), *ends], lambda item: "_".join(item[:3]))
    nodes = tuple(Node(keys[item], lane, label, kind) for item, lane, label, kind in described)
    # An unfinished declaration may lack a step; it is drawn all the same.
    lanes = tuple(dict.fromkeys((*choreography.speakers, *(node.lane for node in nodes))))
    arrows_by_key = tuple((keys[source], keys[target]) for source, target in arrows)
    return Graph(lanes, choreography.decider, nodes, arrows_by_key)


# What a node stands for. Its key is made of the first three texts; the others tell it apart.
_Item = tuple[str, ...]


def _described(choreography: Choreography) -> Iterator[tuple[_Item, str, str, Kind]]:
    """Each node as its item, lane, label and kind."""
    for event in choreography.events:
        yield _event(event), event.SAID_BY, event.TYPE, _kind(event, choreography)
    for timed in choreography.timed:
        yield _clock(timed.service), timed.service, "deadline", Kind.CLOCK
    for reaction in choreography.reactions:
        if len(reaction.awaits) > 1:
            yield _join(reaction), reaction.service, "all", Kind.JOIN
    for reaction in choreography.reactions:
        if not reaction.says:
            yield _note(reaction), reaction.service, "takes note", Kind.NOTE


def _kind(event: EventClass, choreography: Choreography) -> Kind:
    if event in (choreography.created, choreography.cancelled):
        return Kind.CREATED if event is choreography.created else Kind.CANCELLED
    if event in choreography.refusals or event is choreography.cancel_asked:
        return Kind.REFUSAL
    return Kind.UNDOING if event.TYPE in choreography.undoing_types else Kind.FORWARD


def _arrows(choreography: Choreography) -> Iterator[tuple[_Item, _Item]]:
    for timed in choreography.timed:
        starts = choreography.starts
        for event in (starts,) if starts in timed.after else timed.after:
            yield _event(event), _clock(timed.service)
        for event in timed.says:
            yield _clock(timed.service), _event(event)
    for reaction in choreography.reactions:
        if reaction.decision and reaction.awaits == (choreography.starts,):
            continue
        cause = _event(reaction.awaits[0])
        if len(reaction.awaits) > 1:
            cause = _join(reaction)
            yield from ((_event(event), cause) for event in reaction.awaits)
        yield from ((cause, _event(event)) for event in reaction.says)
        if not reaction.says:
            yield cause, _note(reaction)


def _event(event: EventClass) -> _Item:
    return (event.TYPE,)


def _clock(service: str) -> _Item:
    return service, "clock"


def _note(reaction: Reaction) -> _Item:
    return reaction.service, "notes", *_types(reaction)


def _join(reaction: Reaction) -> _Item:
    return reaction.service, "joins", *_types(reaction)


def _types(reaction: Reaction) -> _Item:
    return tuple(event.TYPE for event in reaction.awaits)


def columns(graph: Graph) -> dict[str, int]:
    """The column of each node: the longest path to it, in arrows, without those that close a cycle."""
    found: dict[str, int] = {}
    causes: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for source, target in graph.arrows:
        causes[target].append(source)

    def column(key: str, on_the_way: tuple[str, ...]) -> int:
        if key not in found:
            before = [c for c in causes[key] if c not in on_the_way and c != key]
            found[key] = 1 + max((column(c, (*on_the_way, key)) for c in before), default=-1)
        return found[key]

    for node in graph.nodes:
        column(node.key, ())
    return found


def in_lane(nodes: Iterable[Node], lane: str) -> list[Node]:
    return [node for node in nodes if node.lane == lane]
