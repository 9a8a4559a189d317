"""The same values as `report.py`, as tables for a person.

What others wrote goes in as `Text`, never as markup, and made printable first: an order id may be hostile.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.terminal.formats import format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted
from saga_monitor.analysis.saga_state import Flag, State, StepState
from saga_monitor.projection.counters import UNKNOWN_FORGOTTEN
from saga_monitor.projection.models import Totals
from saga_monitor.text.event_tables import every_event, timeline_table
from saga_monitor.text.safe_text import safe as safe

STATE_STYLES: Mapping[str, str] = {
    State.UNKNOWN: "dim",
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
    StepState.CANCELLED: ("⊘", "magenta"),
    StepState.SKIPPED: ("-", "dim"),
}
_GRAVE = {Flag.INTERVENTION, Flag.STUCK, Flag.CONTRADICTION}


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES[state])


def flags_text(flags: Sequence[str]) -> Text:
    return Text(" ").join(
        Text(flag, style="bold red" if flag.partition("+")[0] in _GRAVE else "yellow") for flag in flags
    )


def took(ms: float | None) -> str:
    """A duration for a person."""
    return format_duration(ms)


def orders_table(
    orders: Sequence[Mapping[str, Any]], totals: Totals, now: dt.datetime, *, full: bool
) -> RenderableType:
    """`full`: nothing is shortened."""
    table = Fitted(
        Column("order"),
        Column("state"),
        Column("took", goes=2),
        Column("last event", goes=3),
        Column("heard" if full else "heard, ago", goes=1),
        Column("flags", wraps=True),
    )
    for order in orders:
        heard = order["last_heard"]
        table.add_row(
            safe(order["commande_id"]),
            state_text(order["state"]),
            took(order["duration_ms"]),
            safe(order["last_event"]),
            safe(heard if full else took(max(0.0, (now - _time(heard or "")).total_seconds() * 1000))),
            flags_text(order["flags"]),
        )
    return Group(table, Text(_foot(len(orders), totals), style="dim"))


def _foot(shown: int, totals: Totals) -> str:
    """How many orders there are, and how many keys apart from them have no beginning."""
    parts = [f"{format_count(shown)} of {format_count(totals.orders)} orders"]
    no_beginning = totals.flag(Flag.NO_BEGINNING)
    if never_placed := totals.state(State.UNKNOWN) - no_beginning:
        parts.append(f"apart from them {format_count(never_placed)} cancelled, never placed (--state UNKNOWN)")
    if no_beginning:
        parts.append(f"apart from them {format_count(no_beginning)} without a beginning (--state NO_BEGINNING)")
    if forgotten := totals.count(UNKNOWN_FORGOTTEN):
        parts.append(f"{format_count(forgotten)} older ones of these forgotten")
    return " · ".join(parts)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def order_view(order: Mapping[str, Any], *, full: bool) -> RenderableType:
    """`full`: nothing is shortened."""
    head = Text.assemble(safe(order["commande_id"], "bold"), "  ", state_text(order["state"]))
    head.append("  ").append_text(flags_text(order["flags"]))
    remaining = ", ".join(order["remaining"]) or "nothing"
    if order["unknown_order"]:
        facts = f"no order: {order['unknown_order']} · retries {order['retries']} · remaining: nothing"
        when = f"last heard {order['last_heard']}"
    else:
        facts = f"took {took(order['duration_ms'])} · retries {order['retries']} · remaining: {remaining}"
        when = f"began {order['started']}" if order["started"] else "it is not known when it began"
    parts: list[RenderableType] = [head, Text(facts), Text(when), Text()]
    parts += [_steps_table(order["steps"]), Text()] if order["steps"] else []
    parts.append(every_event(order["events"]) if full else timeline_table(order["events"], order["started"]))
    if order["unknown_events"]:
        parts += [Text(), _unknown_table(order["unknown_events"])]
    if order["dead_letters_set_aside"]:
        parts += [Text(), _dead_table(order["dead_letters_set_aside"], full=full)]
    return Group(*parts)


def _steps_table(steps: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Fitted(Column("step"), Column("state"), Column("took"), Column("undone in", goes=1))
    for step in steps:
        glyph, style = STEP_GLYPHS[step["state"]]
        state = Text(f"{glyph} {step['state']}", style=style)
        undone = took(step["undoing_ms"]) if step["undoing_ms"] is not None else ""
        table.add_row(step["step"], state, took(step["duration_ms"]), undone)
    return table


def _unknown_table(events: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Fitted(
        Column("offset", goes=1),
        Column("time", goes=2),
        Column("not of this choreography"),
        Column("source", wraps=True),
    )
    for event in events:
        row = (str(event["offset"]), event["time"] or "–", safe(event["type"], "yellow"), safe(event["source"]))
        table.add_row(*(cell if isinstance(cell, Text) else safe(cell) for cell in row))
    return table


def _dead_table(letters: Sequence[Mapping[str, Any]], *, full: bool) -> RenderableType:
    table = Fitted(
        Column("letter"), Column("set aside at"), Column("event"), Column("reason"), Column("detail", wraps=True)
    )
    for letter in letters:
        table.add_row(
            str(letter["offset"]),
            letter["service"],
            safe(letter["type"] or "–"),
            safe(letter["reason"], "red"),
            safe(letter["detail"], limit=None if full else 120),
        )
    return Group(table, Text("`python -m saga_monitor letter N` shows a letter whole", style="dim"))
