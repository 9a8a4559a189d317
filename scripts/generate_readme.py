#!/usr/bin/env python3
"""Writes the parts of README.md and docs/ that follow from the code: pictures, tables, settings, the layout.

With --check it writes nothing and names the documents that differ from the code.
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
    from scripts.cli_parser import Parser
    from scripts.comparison import document as comparison
    from scripts.readme_commands import command_reference
    from scripts.readme_layout import layout
    from scripts.readme_settings import settings_table
    from scripts.readme_tables import (
        asyncapi_list,
        events_table,
        example,
        invariants_table,
        layers_list,
        rules_table,
        steps_list,
    )
except ModuleNotFoundError as missing:
    print(
        f"generate_readme: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)


def picture(choreography: Choreography = CHOREOGRAPHY) -> str:
    """A Mermaid diagram: who says what to whom. Dotted: refusals, cancellations, and what undoes."""
    lines = ["```mermaid", "flowchart LR", '    client(["client"])']
    lines += [f'    {service}["{service}"]' for service in choreography.services]
    lines += ['    clock(["clock"])', '    history[("saga.history")]', '    monitor["saga_monitor"]']
    for (speaker, hearer, dotted), events in sorted(_edges(choreography).items(), key=_in_order(choreography)):
        label = "<br/>".join(event.TYPE for event in events)
        arrow = f'-. "{label}" .->' if dotted else f'-- "{label}" -->'
        lines.append(f"    {speaker} {arrow} {hearer}")
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
        for event in reaction.awaits:
            edges.setdefault((event.SAID_BY, reaction.service, event in back), []).append(event)
            heard.add(event)
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


# Document → name of its part → what makes it. A part stands between two comments with its name.
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"picture": picture},
    "docs/architecture.md": {"layers": layers_list, "layout": layout},
    "docs/commands.md": {"reference": command_reference},
    "docs/comparison.md": comparison.PARTS,
    "docs/orchestration.md": {"steps": steps_list},
    "docs/proofs.md": {"rules": rules_table, "invariants": invariants_table},
    "docs/settings.md": {"settings": settings_table},
    "docs/wire.md": {"example": example, "events": events_table, "asyncapi": asyncapi_list},
}


def with_parts(path: str, text: str) -> str:
    """The text of the document at `path` with its generated parts replaced. Raises ValueError without markers."""
    for name, make in PARTS[path].items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = between.search(text)
        if found is None:
            raise ValueError(f"{path} has no markers for its {name}")
        text = f"{text[: found.start()]}{found[1]}{make()}\n{found[2]}{text[found.end() :]}"
    return text


def differing() -> dict[str, str]:
    """The documents that are not as the code has them, each with its right text."""
    found = {}
    for path in PARTS:
        text = (ROOT / path).read_text(encoding="utf-8")
        if (wanted := with_parts(path, text)) != text:
            found[path] = wanted
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = Parser("scripts/generate_readme.py", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something differs")
    options = parser.parse_args(arguments)
    found = differing()
    if options.check:
        for path in found:
            print(f"{path} differs from the code: run 'python scripts/generate_readme.py'.", file=sys.stderr)
        return int(bool(found))
    for path, text in found.items():
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
