"""What the demonstration shows a person at its end: a line per order, and what was wrong."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from choregraphie.terminal.formats import format_duration
from contracts.choreography import CHOREOGRAPHY
from scripts.demonstration.checks import Seen, messages, reason, wrong_with
from scripts.demonstration.scenarios import Kind

# Off a terminal nothing need be cut.
_PIPE_WIDTH = 180
_WIDE = 140
_STEPS = tuple(step.service for step in CHOREOGRAPHY.steps)
_COLUMNS = ("order", "what happens to it", "state", "took", *_STEPS, "reason", "messages", "")
_WIDE_ONLY = {"what happens to it", *_STEPS}


def screen() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)


def show_orders(console: Console, kinds: Sequence[Kind], seen: Seen) -> None:
    """A row per order. A narrow terminal goes without what the plan has said and `list` and `show` tell."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown = [name for name in _COLUMNS if console.width >= _WIDE or name not in _WIDE_ONLY]
    for name in shown:
        # Sentences are folded, and never an id: somebody may want to copy it.
        table.add_column(name, overflow="fold", no_wrap=name in {"order", "state"})
    for kind in kinds:
        row = _row(kind, seen.orders[kind.commande_id])
        table.add_row(*(row[name] for name in shown))
    console.print(table)


def _row(kind: Kind, order: Mapping[str, Any]) -> dict[str, Text]:
    wrong = any(wrong_with(kind, order))
    return {
        "order": Text(kind.commande_id),
        "what happens to it": Text(kind.about),
        "state": Text(order["state"], style="green" if order["state"] == "COMPLETED" else "blue"),
        "took": Text(format_duration(order["duration_ms"])),
        **{step["step"]: Text(step["state"]) for step in order["steps"]},
        "reason": Text(reason(order) or ""),
        "messages": Text(", ".join(messages(order))),
        "": Text("✗" if wrong else "✓", style="bold red" if wrong else "green"),
    }


def show_plan(console: Console, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        console.print(Text(f"  {kind.commande_id:<20} {kind.about}"))


def show_under_way(console: Console, kinds: Sequence[Kind]) -> None:
    """One line for the orders during which something is killed."""
    console.print(Text(f"  and {len(kinds)} more, under way while a worker and the broker are killed"))
