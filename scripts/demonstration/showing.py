"""What the demonstration shows a person at its end: a line per order, and what was wrong."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.choreography import CHOREOGRAPHY
from scripts.demonstration.kinds import Kind
from scripts.demonstration.verdict import Seen, messages, reason, wrong_with

# Off a terminal nothing need be cut.
_PIPE_WIDTH = 180


def screen() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)


def show_orders(console: Console, kinds: Sequence[Kind], seen: Seen) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    steps = [step.service for step in CHOREOGRAPHY.steps]
    for name in ("order", "what happens to it", "state", "took", *steps, "reason", "messages", ""):
        table.add_column(name, overflow="fold")
    for kind in kinds:
        order = seen.orders[kind.commande_id]
        wrong = any(wrong_with(kind, order))
        states = {step["step"]: step["state"] for step in order["steps"]}
        table.add_row(
            Text(kind.commande_id),
            Text(kind.about),
            Text(order["state"], style="green" if order["state"] == "COMPLETED" else "blue"),
            Text(f"{(order['duration_ms'] or 0) / 1000:.1f} s"),
            *(Text(states.get(step, "")) for step in steps),
            Text(reason(order) or ""),
            Text(", ".join(messages(order))),
            Text("✗" if wrong else "✓", style="bold red" if wrong else "green"),
        )
    console.print(table)


def show_plan(console: Console, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        console.print(Text(f"  {kind.commande_id:<20} {kind.about}"))
