"""The reports as tables for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from choregraphie.terminal.formats import format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.wording import IGNORED_WORDS, because_label
from saga_monitor.projection import durations
from saga_monitor.reports.report import PLACED_STATES
from saga_monitor.text.tables import safe, state_text

_SUCCESS = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("–", style="dim")}

# Orders without success are called "cancelled" here, because the state FAILED holds only some of them.
_OUTCOMES = (
    ("succeeded", "succeeded", "bold green"),
    ("failed", "cancelled", "bold red"),
    ("in_progress", "in progress", "bold"),
)


def whole_view(report: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [_outcomes(report), Text(), _timings(report)]
    if report["dead_letters"]:
        parts += [Text(), _dead_letters(report["dead_letters"])]
    if left_out := report["times_left_out"]:
        parts.append(Text(_left_out(left_out), style="yellow"))
    return Group(*parts, Text(), Text(_tail(report)))


def _left_out(left_out: Mapping[str, int]) -> str:
    named = ", ".join(
        f"{'whole order' if name == durations.ORDER else name} {format_count(number)}"
        for name, number in left_out.items()
    )
    return f"left out, for a clock that they depend on is wrong (`anomalies` says whose): {named}"


def _dead_letters(counts: Mapping[str, int]) -> RenderableType:
    table = Fitted(Column("dead letters"), Column("why"))
    for reason, number in counts.items():
        table.add_row(format_count(number), safe(because_label(reason)))
    return table


def each_view(reports: Sequence[Mapping[str, Any]], total: int) -> RenderableType:
    services = CHOREOGRAPHY.services
    table = Fitted(
        Column("order"),
        Column("state"),
        Column("success", goes=4),
        Column("took", goes=1),
        *(Column(service, goes=5) for service in services),
        Column("mean", goes=6),
        Column("undone", goes=3),
        Column("error", goes=2, wraps=True),
    )
    for one in reports:
        table.add_row(
            safe(one["commande_id"]),
            state_text(one["state"]),
            _SUCCESS[one["success"]],
            format_duration(one["duration_ms"]),
            *(format_duration(one["steps_ms"].get(service)) for service in services),
            format_duration(one["mean_step_ms"]),
            safe(" ".join(one["compensations"])),
            safe(one["error"] or ""),
        )
    return Group(table, Text(f"{format_count(len(reports))} of {format_count(total)} orders", style="dim"))


def one_view(one: Mapping[str, Any]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("order", safe(one["commande_id"], "bold"))
    table.add_row("state", state_text(one["state"]))
    table.add_row("success", _SUCCESS[one["success"]])
    table.add_row("total time", _total_time(one))
    for service, ms in one["steps_ms"].items():
        table.add_row(f"  {service}", format_duration(ms))
    table.add_row("mean of the steps", format_duration(one["mean_step_ms"]))
    table.add_row("undone", safe(", ".join(one["compensations"]) or "nothing"))
    table.add_row("retries", format_count(one["retries"]))
    table.add_row("error", safe(one["error"] or "none", limit=500))
    return table


def _total_time(one: Mapping[str, Any]) -> str:
    time = format_duration(one["duration_ms"])
    if one["duration_ms"] is None:
        return time
    end = "its creation" if one["state"] == State.COMPLETED else "the last answer to its cancellation"
    return f"{time}, to {end}"


def _outcomes(report: Mapping[str, Any]) -> RenderableType:
    sagas, outcomes = report["sagas"], report["outcomes"]
    table = Fitted(Column("orders"), Column("number"), Column("share"))
    table.add_row(Text("total", style="bold"), format_count(sagas["total"]), "")
    for name, label, style in _OUTCOMES:
        share = outcomes[f"{name}_percent"]
        table.add_row(
            Text(label, style=style), format_count(outcomes[name]), "–" if share is None else f"{share:.1f} %"
        )
    for state in PLACED_STATES:
        table.add_row(Text("  ").append_text(state_text(state)), format_count(sagas[state.lower()]), "")
    if unknown := report["unknown_orders"]:
        # Not orders, so in no total.
        table.add_row(Text("no order: without a beginning", style="dim"), format_count(unknown), "")
    if forgotten := report["unknown_orders_forgotten"]:
        table.add_row(Text("  older ones of these, forgotten", style="dim"), format_count(forgotten), "")
    for flag in (Flag.STUCK, Flag.INTERVENTION):
        number = sagas[flag.lower()]
        table.add_row(Text(f"  {flag}", style="bold red" if number else "dim"), format_count(number), "")
    if (wrong := report["anomalies"]) is not None:
        # All anomalies now, whether of these orders or not.
        table.add_row(Text("anomalies", style="bold red" if wrong else "dim"), format_count(wrong), "")
    return table


def _timings(report: Mapping[str, Any]) -> RenderableType:
    table = Fitted(
        Column("time"),
        Column("count", goes=1),
        Column("total", goes=5),
        Column("mean"),
        Column("p50", goes=4),
        Column("p95", goes=2),
        Column("p99", goes=3),
        Column("max"),
    )
    whole = report["duration_ms"]
    names = ("total", "mean", "p50", "p95", "p99", "max")
    table.add_row("whole order", format_count(whole["count"]), *(format_duration(whole[name]) for name in names))
    for service, step in report["steps"].items():
        table.add_row(
            f"  {service}", format_count(step["count"]), *(format_duration(step[f"{name}_ms"]) for name in names)
        )
    return table


def _tail(report: Mapping[str, Any]) -> str:
    said = f"cancelled {format_count(report['compensations'])} · retries {format_count(report['retries'])}"
    said += f" · dead letters {format_count(sum(report['dead_letters'].values()))}"
    said += f" · events {format_count(report['events'])}"
    if report["ignored"] is None:
        return said
    ignored = ", ".join(
        f"{format_count(number)} {IGNORED_WORDS.get(why, why)}" for why, number in report["ignored"].items()
    )
    return f"{said}, heard again {format_count(report['duplicates'])}, ignored: {ignored or 'none'}"
