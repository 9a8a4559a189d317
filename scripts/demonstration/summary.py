"""The tables that the demonstration prints: the plan, and the final state with a row per order."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from choregraphie.terminal.formats import format_duration
from contracts.choreography import CHOREOGRAPHY
from scripts.demonstration.checks import FinalState, differences_of, messages, reason
from scripts.demonstration.scenarios import BLOCKED, CREATED, PAST_DEADLINE, Scenario

# Off a terminal nothing has to be cut.
_PIPE_WIDTH = 180
_WIDE = 140
_STEPS = tuple(step.service for step in CHOREOGRAPHY.steps)
_COLUMNS = ("order", "what happens to it", "state", "took", *_STEPS, "reason", "messages", "")
_WIDE_ONLY = {"what happens to it", *_STEPS}


def screen() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)


def show_orders(console: Console, scenarios: Sequence[Scenario], final_state: FinalState) -> None:
    """Print a row per order. A narrow terminal gets no columns that the plan, `list` or `show` give too."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown = [name for name in _COLUMNS if console.width >= _WIDE or name not in _WIDE_ONLY]
    for name in shown:
        # Sentences wrap; an id never does, so that it can be copied.
        table.add_column(name, overflow="fold", no_wrap=name in {"order", "state"})
    for scenario in scenarios:
        row = _row(scenario, final_state.orders[scenario.commande_id])
        table.add_row(*(row[name] for name in shown))
    console.print(table)


def _row(scenario: Scenario, order: Mapping[str, Any]) -> dict[str, Text]:
    problems = any(differences_of(scenario, order))
    return {
        "order": Text(scenario.commande_id),
        "what happens to it": Text(scenario.about),
        "state": Text(order["state"], style="green" if order["state"] == "COMPLETED" else "blue"),
        "took": Text(format_duration(order["duration_ms"])),
        **{step["step"]: Text(step["state"]) for step in order["steps"]},
        "reason": Text(reason(order) or ""),
        "messages": Text(", ".join(messages(order))),
        "": Text("✗" if problems else "✓", style="bold red" if problems else "green"),
    }


def show_plan(console: Console, scenarios: Sequence[Scenario]) -> None:
    for scenario in scenarios:
        console.print(Text(f"  {scenario.commande_id:<20} {scenario.about}"))


def show_unfinished(console: Console, scenarios: Sequence[Scenario]) -> None:
    """Print one line for the orders that are unfinished when something is killed."""
    console.print(Text(f"  and {len(scenarios)} more, unfinished while a worker and the broker are killed"))


def show_course(console: Console, final_state: FinalState) -> None:
    """Print what was said of the course's scenarios: success; failure and compensation in reverse; a timeout."""
    shown = (("success", CREATED), ("failure and compensation", BLOCKED), ("timeout", PAST_DEADLINE))
    for title, scenario in shown:
        said = [event["type"] for event in final_state.orders[scenario.commande_id]["events"]]
        console.print(Text(f"{title}: {scenario.commande_id}, {scenario.about}", style="bold"))
        console.print(Text(f"  {' → '.join(said)}"))
