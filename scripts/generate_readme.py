#!/usr/bin/env python3
"""Writes what the README shows of the code: the choreography's picture, the settings, the layout.

With --check it writes nothing, and says what is not as the code has it.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from choregraphie.saga.choreography import Choreography, EventClass
    from contracts.choreography import CHOREOGRAPHY
    from scripts.arguments import Parser
    from scripts.readme_layout import layout
    from scripts.readme_settings import settings_table
except ModuleNotFoundError as missing:
    print(
        f"generate_readme: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)

README = ROOT / "README.md"


def picture(choreography: Choreography = CHOREOGRAPHY) -> str:
    """A Mermaid diagram: who says what to whom. Dotted: refusals, cancellations, and what undoes."""
    lines = ["```mermaid", "flowchart LR", '    client(["client"])']
    lines += [f'    {service}["{service}"]' for service in choreography.services]
    lines += ['    clock(["clock"])', '    history[("saga.history")]', '    monitor["saga_monitor"]']
    for (outbox_publisher, hearer, dotted), events in sorted(
        _edges(choreography).items(), key=_in_order(choreography)
    ):
        label = "<br/>".join(event.TYPE for event in events)
        arrow = f'-. "{label}" .->' if dotted else f'-- "{label}" -->'
        lines.append(f"    {outbox_publisher} {arrow} {hearer}")
    lines += [f'    clock -. "deadline passed" .-> {timed.service}' for timed in choreography.timed]
    lines += ['    history == "every event" ==> monitor', "```"]
    return "\n".join(lines)


Edge = tuple[str, str, bool]


def _edges(choreography: Choreography) -> dict[Edge, list[EventClass]]:
    """Who says what to whom, and whether it is on the way back. What no service hears goes to the history."""
    back = _backwards(choreography)
    edges: dict[Edge, list[EventClass]] = {}
    heard: set[EventClass] = set()
    for reaction in choreography.reactions:
        edge = (reaction.hears.SAID_BY, reaction.service, reaction.hears in back)
        edges.setdefault(edge, []).append(reaction.hears)
        heard.add(reaction.hears)
    for event in choreography.events:
        if event not in heard:
            edges.setdefault((event.SAID_BY, "history", event in back), []).append(event)
    return edges


def _backwards(choreography: Choreography) -> set[EventClass]:
    undone = {step.undone for step in choreography.undoings if step.undone}
    return {*choreography.refusals, *undone, choreography.cancelled, choreography.cancel_asked}


def _in_order(choreography: Choreography) -> Callable[[tuple[Edge, object]], tuple[int, int, bool]]:
    """The way forward first, in the order of the steps."""
    places = {name: place for place, name in enumerate((*choreography.speakers, "history"))}
    return lambda item: (places[item[0][0]], places[item[0][1]], item[0][2])


PARTS: dict[str, Callable[[], str]] = {"picture": picture, "settings": settings_table, "layout": layout}


def with_parts(text: str) -> str:
    """`text` with what stands between each pair of markers as the code has it. Raises ValueError without one."""
    for name, make in PARTS.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not between.search(text):
            raise ValueError(f"README.md has no markers for its {name}")
        # Doubled, a backslash of the code is one, and no reference to a group.
        made = make().replace("\\", "\\\\")
        text = between.sub(rf"\g<1>{made}\n\g<2>", text)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = Parser("scripts/generate_readme.py", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something differs")
    options = parser.parse_args(arguments)
    now = README.read_text(encoding="utf-8")
    wanted = with_parts(now)
    if options.check:
        if now != wanted:
            print("README.md is not as the code has it: run 'python scripts/generate_readme.py'.", file=sys.stderr)
        return int(now != wanted)
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
