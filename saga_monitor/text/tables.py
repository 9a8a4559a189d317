"""Orders as tables for a person.

Texts of others are made printable and passed as `Text`, never as markup: an order's id may be hostile.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.terminal.formats import format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State, StepState
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.counters import UNKNOWN_FORGOTTEN
from saga_monitor.projection.models import Totals
from saga_monitor.reports.order_report import answered_within
from saga_monitor.text.event_tables import every_event, timeline_table
from saga_monitor.text.sanitize import safe as safe

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
# What the column `took` measures.
TOOK = "took: from the beginning to the creation; of a cancelled order, to the last answer to its cancellation"
_GRAVE = {Flag.INTERVENTION, Flag.STUCK, Flag.CONTRADICTION}


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES[state])


def flags_text(flags: Sequence[str]) -> Text:
    return Text(" ").join(
        Text(flag, style="bold red" if flag.partition("+")[0] in _GRAVE else "yellow") for flag in flags
    )


def searched_names() -> list[str]:
    """The fields that a search looks through besides the id, without `_id`: `client` for `client_id`."""
    return [name.removesuffix("_id") for name in CHOREOGRAPHY.searched]


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
            format_duration(order["duration_ms"]),
            safe(order["last_event"]),
            safe(heard if full else format_duration(max(0.0, (now - _time(heard or "")).total_seconds() * 1000))),
            flags_text(order["flags"]),
        )
    lines = [Text(_foot(orders, totals), style="dim")]
    if any(order["state"] == State.COMPENSATED for order in orders):
        lines.append(Text(TOOK, style="dim"))
    return Group(table, *lines)


def _foot(orders: Sequence[Mapping[str, Any]], totals: Totals) -> str:
    """How many orders are shown and known, and how many keys are no orders."""
    headless = sum(Flag.NO_BEGINNING in order["flags"] for order in orders)
    demands = sum(order["state"] == State.UNKNOWN for order in orders) - headless
    parts = [f"{format_count(len(orders) - headless - demands)} of {format_count(totals.orders)} orders"]
    no_beginning = totals.flag(Flag.NO_BEGINNING)
    if never_placed := totals.state(State.UNKNOWN) - no_beginning:
        parts.append(f"apart from them {_of(demands, never_placed)} cancelled, never placed (--state UNKNOWN)")
    if no_beginning:
        parts.append(f"apart from them {_of(headless, no_beginning)} without a beginning (--state NO_BEGINNING)")
    if forgotten := totals.count(UNKNOWN_FORGOTTEN):
        parts.append(f"{format_count(forgotten)} older keys without a beginning forgotten")
    return " · ".join(parts)


def _of(shown: int, number: int) -> str:
    return f"{format_count(shown)} of {format_count(number)}" if shown else format_count(number)


def _clock(text: str, *, full: bool) -> str:
    return text if full else f"{_time(text):%Y-%m-%d %H:%M:%S} UTC"


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def order_view(order: Mapping[str, Any], *, full: bool) -> RenderableType:
    """`full`: nothing is shortened."""
    head = Text.assemble(safe(order["commande_id"], "bold"), "  ", state_text(order["state"]))
    head.append("  ").append_text(flags_text(order["flags"]))
    remaining = ", ".join(order["remaining"]) or "nothing"
    if order["unknown_order"]:
        facts = f"no order: {order['unknown_order']} · retries {order['retries']} · remaining: nothing"
        when = f"last heard {_clock(order['last_heard'], full=full)}"
    else:
        time = whole_time(order["state"], order["duration_ms"], [s["undoing_ms"] for s in _undoings(order)])
        facts = " · ".join([*([time] if time else []), f"retries {order['retries']}", f"remaining: {remaining}"])
        when = f"began {_clock(order['started'], full=full)}" if order["started"] else "its beginning has no time"
    parts: list[RenderableType] = [head, Text(facts), Text(when), Text()]
    parts += [_steps_table(order["steps"]), Text()] if order["steps"] else []
    parts.append(every_event(order["events"]) if full else timeline_table(order["events"], order["started"]))
    if order["unknown_events"]:
        parts += [Text(), _unknown_table(order["unknown_events"])]
    if order["dead_letters_set_aside"]:
        parts += [Text(), _dead_table(order["dead_letters_set_aside"], full=full)]
    return Group(*parts)


def _undoings(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    services = {step.service for step in CHOREOGRAPHY.undoings}
    return [step for step in order["steps"] if step["step"] in services]


def whole_time(state: str, duration_ms: int | None, undoing_ms: Sequence[int | None]) -> str:
    """How long the order took and until which event; empty while it is not settled."""
    if duration_ms is None:
        return ""
    if state == State.COMPLETED:
        return f"created in {format_duration(duration_ms)}"
    within = answered_within(undoing_ms)
    cancelled = f", {format_duration(within)} after its cancellation" if within is not None else ""
    return f"over {format_duration(duration_ms)} after it began{cancelled}"


def _steps_table(steps: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Fitted(Column("step"), Column("state"), Column("took"), Column("answered the cancellation in", goes=1))
    for step in steps:
        glyph, style = STEP_GLYPHS[step["state"]]
        state = Text(f"{glyph} {step['state']}", style=style)
        answered = format_duration(step["undoing_ms"]) if step["undoing_ms"] is not None else ""
        table.add_row(step["step"], state, format_duration(step["duration_ms"]), answered)
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
    table = Fitted(Column("letter"), Column("set aside by"), Column("event"), Column("why", wraps=True))
    for letter in letters:
        table.add_row(
            str(letter["offset"]),
            letter["service"],
            safe(letter["type"] or "–"),
            safe(because(letter["reason"], letter["detail"]), "red", limit=None if full else 160),
        )
    return Group(table, Text("`python -m saga_monitor letter N` shows a letter whole", style="dim"))
