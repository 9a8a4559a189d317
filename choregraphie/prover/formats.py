"""The graph of a choreography as Mermaid, Graphviz DOT and SVG. Pure.

The SVG needs no program, font or script from outside, and follows the reader's light or dark theme.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from choregraphie.prover.graph import KINDS, Graph, Kind, Node, in_lane
from choregraphie.prover.identifiers import identifiers
from choregraphie.prover.layout import BOX, Box, Connector, Drawing, Lane, lay_out

# Readable on a light and on a dark page: mid-tones for the lines, the page's own colour as background.
COLOURS = {
    Kind.FORWARD: "#3b82c4",
    Kind.REFUSAL: "#d9822b",
    Kind.CREATED: "#2e9e5b",
    Kind.CANCELLED: "#d64545",
    Kind.UNDOING: "#8b62c9",
    Kind.CLOCK: "#7a8594",
    Kind.JOIN: "#3b82c4",
    Kind.NOTE: "#7a8594",
}


# Only an event has square ends.
ROUND = {Kind.CLOCK, Kind.NOTE, Kind.JOIN}


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, one subgraph by lane."""
    return "\n".join(_mermaid(graph)) + "\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for lane, key in _lane_keys(graph, "lane").items():
        yield f'    subgraph {key}["{_lane_title(lane, graph)}"]'
        yield from (f"        {_mermaid_node(node)}" for node in in_lane(graph.nodes, lane))
        yield "    end"
    dotted = {Kind.CLOCK, Kind.NOTE}
    for source, target in graph.arrows:
        yield f"    {source} {'-.->' if graph.by_key[target].kind in dotted else '-->'} {target}"
    for kind, colour in COLOURS.items():
        keys = [node.key for node in graph.nodes if node.kind is kind]
        if keys:
            yield f"    classDef {kind} stroke:{colour},stroke-width:2px"
            yield f"    class {','.join(keys)} {kind}"


def _mermaid_node(node: Node) -> str:
    return f"{node.key}([{node.label}])" if node.kind in ROUND else f"{node.key}[{node.label}]"


def _lane_keys(graph: Graph, prefix: str) -> dict[str, str]:
    """The identifier of each lane; no node has it."""
    return identifiers(graph.lanes, lambda lane: f"{prefix}_{lane}", taken=graph.by_key)


def _lane_title(lane: str, graph: Graph) -> str:
    return f"{lane}, decides" if lane == graph.decider else lane


def dot(graph: Graph) -> str:
    """A Graphviz digraph, one cluster by lane."""
    return "\n".join(_dot(graph)) + "\n"


def _dot(graph: Graph) -> Iterator[str]:
    yield "digraph choreography {"
    yield '    graph [rankdir=LR, bgcolor="transparent", fontname="sans-serif"];'
    yield '    graph [fontcolor="#7a8594", color="#7a8594"];'
    yield '    node [shape=box, style=rounded, fontname="monospace", fontsize=11, fontcolor="#7a8594"];'
    for lane, key in _lane_keys(graph, "cluster").items():
        yield f"    subgraph {key} {{"
        yield f'        label="{_lane_title(lane, graph)}";'
        for node in in_lane(graph.nodes, lane):
            yield f'        {node.key} [label="{node.label}", color="{COLOURS[node.kind]}"];'
        yield "    }"
    for source, target in graph.arrows:
        yield f'    {source} -> {target} [color="{COLOURS[graph.by_key[target].kind]}"];'
    yield "}"


LEGEND_HEIGHT, SWATCH, LEGEND_TEXT = 40.0, 22.0, 5.6
BEND = 7.0

_LIGHT = {
    Kind.FORWARD: ("#1f6fb2", "#e8f1fa"),
    Kind.REFUSAL: ("#b45f06", "#fdf1e3"),
    Kind.CREATED: ("#1d7f47", "#e5f5ec"),
    Kind.CANCELLED: ("#b92c2c", "#fbe9e9"),
    Kind.UNDOING: ("#6b46b1", "#f1ebfb"),
    Kind.CLOCK: ("#5b6673", "#eef0f3"),
    Kind.JOIN: ("#1f6fb2", "#ffffff"),
    Kind.NOTE: ("#5b6673", "#ffffff"),
}
_DARK = {
    Kind.FORWARD: ("#6cb2f0", "#14283a"),
    Kind.REFUSAL: ("#f0a860", "#36250f"),
    Kind.CREATED: ("#5fcf92", "#123022"),
    Kind.CANCELLED: ("#f28585", "#3a1b1b"),
    Kind.UNDOING: ("#b99af0", "#281f3d"),
    Kind.CLOCK: ("#a3adba", "#262c34"),
    Kind.JOIN: ("#6cb2f0", "#161b22"),
    Kind.NOTE: ("#a3adba", "#161b22"),
}


def svg(graph: Graph) -> str:
    """A self-contained SVG document with a title, a description in words and a legend."""
    return "\n".join(_document(graph, lay_out(graph))) + "\n"


def _document(graph: Graph, drawing: Drawing) -> Iterator[str]:
    width, height = drawing.width, drawing.height + LEGEND_HEIGHT
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-labelledby="title desc">'
    )
    yield '  <title id="title">The choreography</title>'
    yield f'  <desc id="desc">{escape(_in_words(graph))}</desc>'
    yield f"  <style>{_style()}</style>"
    yield f"  <defs>{''.join(_head(kind) for kind in KINDS)}</defs>"
    yield f'  <rect class="page" width="{width:g}" height="{height:g}"/>'
    yield from (_lane(lane, n, graph, width) for n, lane in enumerate(drawing.lanes))
    yield from (_connector(connector) for connector in drawing.connectors)
    yield from (_box(box) for box in drawing.boxes)
    yield from _legend(graph, drawing)
    yield "</svg>"


def _in_words(graph: Graph) -> str:
    label = {node.key: f"{node.lane} {node.label}" for node in graph.nodes}
    label |= {node.key: node.label for node in graph.nodes if "." in node.label}
    return "; ".join(f"{label[source]} leads to {label[target]}" for source, target in graph.arrows)


def _style() -> str:
    rules = [
        "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
        ".name{font:600 14px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}",
        ".small{font:11px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}",
        ".wire{fill:none;stroke-width:1.6}",
        ".box{stroke-width:1.4}",
        ".clock.wire,.note.wire,.clock.box,.note.box{stroke-dasharray:4 3}",
        *_themed(_LIGHT, page="#ffffff", band="#f6f8fa", ink="#1f2328", faint="#59636e"),
    ]
    dark = _themed(_DARK, page="#0d1117", band="#161b22", ink="#e6edf3", faint="#9198a1")
    return "".join(rules) + "@media(prefers-color-scheme:dark){" + "".join(dark) + "}"


def _themed(colours: dict[Kind, tuple[str, str]], *, page: str, band: str, ink: str, faint: str) -> list[str]:
    rules = [f".page{{fill:{page}}}", f".band{{fill:{band}}}", f"text{{fill:{ink}}}", f".small{{fill:{faint}}}"]
    for kind, (line, inside) in colours.items():
        rules.append(f".{kind}.wire,.{kind}.box{{stroke:{line}}}")
        rules.append(f".{kind}.box{{fill:{inside}}}.{kind}.tip{{fill:{line}}}")
    return rules


def _head(kind: Kind) -> str:
    return (
        f'<marker id="tip-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{kind} tip" d="M0 0.8 8 4 0 7.2z"/></marker>'
    )


def _lane(lane: Lane, number: int, graph: Graph, width: float) -> str:
    middle = lane.y + lane.height / 2
    band = f'  <rect class="band" x="0" y="{lane.y:g}" width="{width:g}" height="{lane.height:g}"/>\n'
    decides = f'\n  <text class="small" x="16" y="{middle + 21:g}">decides</text>'
    return (
        (band if number % 2 == 0 else "")
        + f'  <text class="name" x="16" y="{middle + 5:g}">{escape(lane.name)}</text>'
        + (decides if lane.name == graph.decider else "")
    )


def _connector(connector: Connector) -> str:
    kind, path = connector.kind, _rounded(connector.corners)
    return f'  <path class="{kind} wire" d="{path}" marker-end="url(#tip-{kind})"/>'


def _rounded(corners: tuple[tuple[float, float], ...]) -> str:
    """An SVG path along `corners`, its bends rounded where there is room."""
    (x0, y0), (x1, y1), (_, y2), (x3, y3) = corners
    bend = min(BEND, abs(y2 - y1) / 2)
    if bend < 0.5:
        return f"M{x0:g} {y2:g}H{x3:g}"
    down = bend if y2 > y1 else -bend
    return (
        f"M{x0:g} {y0:g}H{x1 - bend:g}Q{x1:g} {y1:g} {x1:g} {y1 + down:g}"
        f"V{y2 - down:g}Q{x1:g} {y2:g} {x1 + bend:g} {y3:g}H{x3:g}"
    )


def _box(box: Box) -> str:
    kind, middle = box.node.kind, box.x + box.width / 2
    bend = BOX / 2 if kind in ROUND else 6
    return (
        f'  <rect class="{kind} box" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{BOX:g}" '
        f'rx="{bend:g}"/>\n'
        f'  <text x="{middle:g}" y="{box.middle + 4:g}" text-anchor="middle">{escape(box.node.label)}</text>'
    )


def _legend(graph: Graph, drawing: Drawing) -> Iterator[str]:
    """The kinds that occur, over several lines in a narrow diagram."""
    there = {node.kind for node in graph.nodes}
    x, y = 16.0, drawing.height + 20
    for kind, words in KINDS.items():
        if kind not in there:
            continue
        needed = SWATCH + 8 + len(words) * LEGEND_TEXT + 18
        if x + needed > drawing.width:
            x, y = 16.0, y + 20
        yield f'  <rect class="{kind} box" x="{x:g}" y="{y - 6:g}" width="{SWATCH:g}" height="12" rx="4"/>'
        yield f'  <text class="small" x="{x + SWATCH + 8:g}" y="{y + 4:g}">{words}</text>'
        x += needed
