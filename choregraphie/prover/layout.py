"""The layout of the graph: columns by cause, lanes by speaker, arrows at right angles; in pixels. Pure.

An arrow leaves its source to the right, runs up or down in the channel beside its source's column, and then
along its target's row. From its nearest source to itself, a target has its row alone, so no arrow crosses a box.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from choregraphie.prover.graph import Graph, Kind, Node, columns, in_lane

ROW, BOX, LANE_PAD = 44.0, 28.0, 14.0
LANE_TITLE, GLYPH, BOX_PAD, WIRE_GAP, MARGIN = 118.0, 7.0, 11.0, 9.0, 16.0


@dataclass(frozen=True)
class Box:
    node: Node
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + BOX / 2


@dataclass(frozen=True)
class Lane:
    name: str
    y: float
    height: float


@dataclass(frozen=True)
class Connector:
    """An arrow's corners, from its source to its target."""

    kind: Kind
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    lanes: tuple[Lane, ...]
    boxes: tuple[Box, ...]
    connectors: tuple[Connector, ...]


def lay_out(graph: Graph) -> Drawing:
    """The boxes, lanes and connectors of `graph`, with their coordinates."""
    column = columns(graph)
    rows = _rows(graph, column)
    lanes = _lanes(graph, rows)
    top = {lane.name: lane.y + LANE_PAD + (ROW - BOX) / 2 for lane in lanes}
    ys = {node.key: top[node.lane] + rows[node.key] * ROW for node in graph.nodes}
    bundles = _bundles(graph, column, ys)
    lefts, widths, width = _across(graph, column, bundles)
    boxes = {
        node.key: Box(node, lefts[column[node.key]], ys[node.key], widths[column[node.key]])
        for node in graph.nodes
    }
    connectors = tuple(_connectors(graph, boxes, column, bundles))
    height = lanes[-1].y + lanes[-1].height if lanes else 0
    return Drawing(width, height, lanes, tuple(boxes.values()), connectors)


def _rows(graph: Graph, column: dict[str, int]) -> dict[str, int]:
    """Each node's row in its lane: the first that is free from its nearest source to itself."""
    rows: dict[str, int] = {}
    for lane in graph.lanes:
        taken: list[list[range]] = []
        for node in sorted(in_lane(graph.nodes, lane), key=lambda node: column[node.key]):
            need = _needed(node.key, graph, column)
            row = next((n for n, used in enumerate(taken) if not any(_meet(need, u) for u in used)), len(taken))
            if row == len(taken):
                taken.append([])
            taken[row].append(need)
            rows[node.key] = row
    return rows


def _needed(key: str, graph: Graph, column: dict[str, int]) -> range:
    sources = [column[source] + 1 for source, target in graph.arrows if target == key]
    return range(min([*sources, column[key]]), column[key] + 1)


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _lanes(graph: Graph, rows: dict[str, int]) -> tuple[Lane, ...]:
    lanes, y = [], 0.0
    for name in graph.lanes:
        count = 1 + max((rows[node.key] for node in in_lane(graph.nodes, name)), default=0)
        lanes.append(Lane(name, y, count * ROW + 2 * LANE_PAD))
        y += lanes[-1].height
    return tuple(lanes)


@dataclass(frozen=True)
class Bundle:
    """The arrows from one source to targets of one kind: they share a line in their channel."""

    source: str
    kind: Kind
    reaches: float  # the height of its farthest target
    far: float  # how far that is, up or down


def _bundles(graph: Graph, column: dict[str, int], ys: dict[str, float]) -> dict[int, list[Bundle]]:
    """By channel, from left to right. The one that goes farthest is leftmost, so that few arrows cross."""
    targets: dict[tuple[str, Kind], list[float]] = {}
    for source, target in graph.arrows:
        targets.setdefault((source, graph.by_key[target].kind), []).append(ys[target])
    found: dict[int, list[Bundle]] = {}
    for (source, kind), heights in targets.items():
        far, reaches = max((abs(y - ys[source]), y) for y in heights)
        bundle = Bundle(source, kind, reaches, far)
        found.setdefault(column[source], []).append(bundle)
    return {n: sorted(bundles, key=lambda bundle: -bundle.far) for n, bundles in found.items()}


def _across(
    graph: Graph, column: dict[str, int], bundles: dict[int, list[Bundle]]
) -> tuple[list[float], list[float], float]:
    """The left edge of each column, the width of each, and the width of the drawing."""
    lefts, widths, x = [], [], LANE_TITLE
    for n in range(1 + max(column.values(), default=0)):
        labels = [len(node.label) for node in graph.nodes if column[node.key] == n]
        widths.append(max(labels, default=0) * GLYPH + 2 * BOX_PAD)
        lefts.append(x)
        x += widths[n] + 2 * MARGIN + len(bundles.get(n, ())) * WIRE_GAP
    return lefts, widths, x


def _connectors(
    graph: Graph, boxes: dict[str, Box], column: dict[str, int], bundles: dict[int, list[Bundle]]
) -> Iterator[Connector]:
    for source, target in graph.arrows:
        start, end = boxes[source], boxes[target]
        channel = bundles[column[source]]
        bundle = next(b for b in channel if (b.source, b.kind) == (source, end.node.kind))
        x = start.x + start.width + MARGIN + (channel.index(bundle) + 0.5) * WIRE_GAP
        # Bundles of one source leave it a little apart, so that each line has one colour.
        own = sorted((b for b in channel if b.source == source), key=lambda b: b.reaches)
        y = start.middle + (own.index(bundle) - (len(own) - 1) / 2) * WIRE_GAP
        corners = ((start.x + start.width, y), (x, y), (x, end.middle), (end.x, end.middle))
        yield Connector(end.node.kind, corners)
