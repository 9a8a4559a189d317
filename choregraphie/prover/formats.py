"""The picture in the words of Mermaid and of Graphviz. Pure."""

from collections.abc import Iterator

from choregraphie.prover.graph import Graph, Kind, Node, in_lane

# Readable on a light and on a dark page: mid-tones for the lines, the page's own colour inside.
COLOURS = {
    Kind.FORWARD: "#3b82c4",
    Kind.REFUSAL: "#d9822b",
    Kind.CREATED: "#2e9e5b",
    Kind.CANCELLED: "#d64545",
    Kind.UNDOING: "#8b62c9",
    Kind.CLOCK: "#7a8594",
    Kind.NOTE: "#7a8594",
}


def mermaid(shown: Graph) -> str:
    return "\n".join(_mermaid(shown)) + "\n"


def _mermaid(shown: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for lane in shown.lanes:
        yield f'    subgraph lane_{lane}["{_lane_title(lane, shown)}"]'
        yield from (f"        {_mermaid_node(node)}" for node in in_lane(shown.nodes, lane))
        yield "    end"
    dotted = {Kind.CLOCK, Kind.NOTE}
    for source, target in shown.arrows:
        yield f"    {source} {'-.->' if shown.by_key[target].kind in dotted else '-->'} {target}"
    for kind, colour in COLOURS.items():
        keys = [node.key for node in shown.nodes if node.kind is kind]
        if keys:
            yield f"    classDef {kind} stroke:{colour},stroke-width:2px"
            yield f"    class {','.join(keys)} {kind}"


def _mermaid_node(node: Node) -> str:
    return f"{node.key}([{node.label}])" if node.kind in {Kind.CLOCK, Kind.NOTE} else f"{node.key}[{node.label}]"


def _lane_title(lane: str, shown: Graph) -> str:
    return f"{lane}, decides" if lane == shown.decider else lane


def dot(shown: Graph) -> str:
    return "\n".join(_dot(shown)) + "\n"


def _dot(shown: Graph) -> Iterator[str]:
    yield "digraph choreography {"
    yield '    graph [rankdir=LR, bgcolor="transparent", fontname="sans-serif"];'
    yield '    graph [fontcolor="#7a8594", color="#7a8594"];'
    yield '    node [shape=box, style=rounded, fontname="monospace", fontsize=11, fontcolor="#7a8594"];'
    for lane in shown.lanes:
        yield f"    subgraph cluster_{lane} {{"
        yield f'        label="{_lane_title(lane, shown)}";'
        for node in in_lane(shown.nodes, lane):
            yield f'        {node.key} [label="{node.label}", color="{COLOURS[node.kind]}"];'
        yield "    }"
    for source, target in shown.arrows:
        yield f'    {source} -> {target} [color="{COLOURS[shown.by_key[target].kind]}"];'
    yield "}"
