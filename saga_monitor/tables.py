"""The same values as `report.py`, as tables for a person.

What others wrote goes in as `Text`, never as markup, and made printable first: an order id may be hostile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from saga_monitor.printable import printable
from saga_monitor.progress import Flag, State, StepState

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
    """A duration for a person: `420 ms`, `1.5 s`, `3m 12s`, `2h 05m`, `3d 4h`."""
    if ms is None:
        return "–"
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours < 24 else f"{hours // 24}d {hours % 24}h"


def orders_table(orders: Sequence[Mapping[str, Any]], total: int) -> RenderableType:
    table = _table("order", "state", "took", "last event", "heard", "flags")
    for order in orders:
        table.add_row(
            safe(order["commande_id"], limit=LONGEST_ID),
            state_text(order["state"]),
            took(order["duration_ms"]),
            safe(order["last_event"]),
            safe(order["last_heard"]),
            flags_text(order["flags"]),
        )
    return Group(table, Text(f"{len(orders)} of {total} orders", style="dim"))


def order_view(order: Mapping[str, Any]) -> RenderableType:
    head = Text.assemble(safe(order["commande_id"], "bold"), "  ", state_text(order["state"]))
    head.append("  ").append_text(flags_text(order["flags"]))
    remaining = ", ".join(order["remaining"]) or "nothing"
    facts = f"took {took(order['duration_ms'])} · retries {order['retries']} · remaining: {remaining}"
    parts: list[RenderableType] = [head, Text(facts), _steps_table(order["steps"]), _events_table(order["events"])]
    if order["dead_letters_set_aside"]:
        parts.append(_dead_table(order["dead_letters_set_aside"]))
    return Group(*parts)


def report_view(report: Mapping[str, Any]) -> RenderableType:
    return Group(_outcomes(report["sagas"]), _timings(report), Text(_tail(report)))


def _steps_table(steps: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("step", "state", "took", "undone in")
    for step in steps:
        glyph, style = STEP_GLYPHS[step["state"]]
        state = Text(f"{glyph} {step['state']}", style=style)
        table.add_row(step["step"], state, took(step["duration_ms"]), took(step["undoing_ms"]))
    return table


def _events_table(events: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("offset", "time", "event", "source", "id", "answers", "note")
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


def _dead_table(letters: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("dead letter at", "event", "reason", "detail")
    for letter in letters:
        table.add_row(
            letter["service"],
            safe(letter["type"] or "–"),
            safe(letter["reason"], "red"),
            safe(letter["detail"], limit=80),
        )
    return table


def _outcomes(sagas: Mapping[str, int]) -> Table:
    table = _table("orders", "number", "share")
    total = sagas["total"]
    table.add_row("total", str(total), "")
    for state in State:
        number = sagas[state.lower()]
        table.add_row(state_text(state), str(number), f"{100 * number / total:.1f} %" if total else "–")
    for flag in (Flag.STUCK, Flag.INTERVENTION):
        number = sagas[flag.lower()]
        table.add_row(Text(flag, style="bold red" if number else "dim"), str(number), "")
    return table


def _timings(report: Mapping[str, Any]) -> Table:
    table = _table("time", "count", "mean", "p50", "p95", "p99", "max")
    whole = report["duration_ms"]
    table.add_row("whole order", "", *(took(whole[name]) for name in ("mean", "p50", "p95", "p99", "max")))
    for name, step in report["steps"].items():
        table.add_row(name, str(step["count"]), took(step["mean_ms"]), "", took(step["p95_ms"]), "", "")
    return table


def _tail(report: Mapping[str, Any]) -> str:
    dead = ", ".join(f"{printable(reason)} {number}" for reason, number in report["dead_letters"].items())
    ignored = ", ".join(f"{why} {number}" for why, number in report["ignored"].items())
    return (
        f"compensations {report['compensations']} · retries {report['retries']} · dead letters: {dead or 'none'}"
        f" · events {report['events']}, heard twice {report['duplicates']}, ignored: {ignored or 'none'}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
