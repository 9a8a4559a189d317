"""The same values as `report.py`, as tables for a person.

What others wrote goes in as `Text`, never as markup, and made printable first: an order id may be hostile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from saga_monitor.progress import Flag, State, StepState
from saga_monitor.showing.printable import printable
from services.runtime import format_count, format_duration

STATE_STYLES: Mapping[str, str] = {
    State.NEW: "cyan",
    State.RUNNING: "yellow",
    State.FAILED: "red",
    State.COMPLETED: "green",
    State.COMPENSATING: "magenta",
    State.COMPENSATED: "blue",
}
STEP_GLYPHS: Mapping[str, tuple[str, str]] = {
    StepState.WAITING: ("·", "dim"),
    StepState.RUNNING: ("…", "yellow"),
    StepState.DONE: ("✓", "green"),
    StepState.REFUSED: ("✗", "red"),
    StepState.UNDOING: ("↺", "magenta"),
    StepState.UNDONE: ("↩", "blue"),
    StepState.SKIPPED: ("-", "dim"),
}
_GRAVE = {Flag.INTERVENTION, Flag.STUCK, Flag.CONTRADICTION}
LONGEST_ID = 40


def safe(text: object, style: str = "", limit: int | None = None) -> Text:
    """`text` as it may be shown, cut to `limit` characters."""
    shown = printable(str(text))
    return Text(shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…", style=style)


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES[state])


def flags_text(flags: Sequence[str]) -> Text:
    return Text(" ").join(
        Text(flag, style="bold red" if flag.partition("+")[0] in _GRAVE else "yellow") for flag in flags
    )


def took(ms: float | None) -> str:
    """A duration for a person."""
    return format_duration(ms)


def orders_table(orders: Sequence[Mapping[str, Any]], total: int) -> RenderableType:
    table = columns_of("order", "state", "took", "last event", "heard", "flags")
    for order in orders:
        table.add_row(
            safe(order["commande_id"], limit=LONGEST_ID),
            state_text(order["state"]),
            took(order["duration_ms"]),
            safe(order["last_event"]),
            safe(order["last_heard"]),
            flags_text(order["flags"]),
        )
    return Group(table, Text(f"{format_count(len(orders))} of {format_count(total)} orders", style="dim"))


def order_view(order: Mapping[str, Any]) -> RenderableType:
    head = Text.assemble(safe(order["commande_id"], "bold"), "  ", state_text(order["state"]))
    head.append("  ").append_text(flags_text(order["flags"]))
    remaining = ", ".join(order["remaining"]) or "nothing"
    facts = f"took {took(order['duration_ms'])} · retries {order['retries']} · remaining: {remaining}"
    parts: list[RenderableType] = [head, Text(facts), _steps_table(order["steps"]), _events_table(order["events"])]
    if order["unknown_events"]:
        parts.append(_unknown_table(order["unknown_events"]))
    if order["dead_letters_set_aside"]:
        parts.append(_dead_table(order["dead_letters_set_aside"]))
    return Group(*parts)


def _steps_table(steps: Sequence[Mapping[str, Any]]) -> Table:
    table = columns_of("step", "state", "took", "undone in")
    for step in steps:
        glyph, style = STEP_GLYPHS[step["state"]]
        state = Text(f"{glyph} {step['state']}", style=style)
        table.add_row(step["step"], state, took(step["duration_ms"]), took(step["undoing_ms"]))
    return table


def _events_table(events: Sequence[Mapping[str, Any]]) -> Table:
    table = columns_of("offset", "time", "event", "source", "id", "answers", "note")
    for event in events:
        table.add_row(
            str(event["offset"]),
            safe(event["time"] or "–"),
            safe(event["type"]),
            safe(event["source"], limit=LONGEST_ID),
            safe(event["id"], "dim", LONGEST_ID),
            safe(event["causationid"] or "–", "dim", LONGEST_ID),
            safe(event["note"] or "", limit=80),
        )
    return table


def _unknown_table(events: Sequence[Mapping[str, Any]]) -> Table:
    table = columns_of("offset", "time", "not of this choreography", "source")
    for event in events:
        source = safe(event["source"], limit=LONGEST_ID)
        table.add_row(str(event["offset"]), safe(event["time"] or "–"), safe(event["type"], "yellow"), source)
    return table


def _dead_table(letters: Sequence[Mapping[str, Any]]) -> Table:
    table = columns_of("dead letter at", "event", "reason", "detail")
    for letter in letters:
        table.add_row(
            letter["service"],
            safe(letter["type"] or "–"),
            safe(letter["reason"], "red"),
            safe(letter["detail"], limit=80),
        )
    return table


def columns_of(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
