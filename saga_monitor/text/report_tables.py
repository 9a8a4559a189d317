"""The reports as tables for a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.diagnosis.wording import IGNORED_WORDS, because_label
from saga_monitor.projection import durations
from saga_monitor.reports.report import PLACED_STATES, field_name, key_in
from saga_monitor.text.tables import safe, state_text

_SUCCESS = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("–", style="dim")}

# Instances without success are called "cancelled" here, because the state FAILED holds only some of them.
_OUTCOMES = (
    ("succeeded", "succeeded", "bold green"),
    ("failed", "cancelled", "bold red"),
    ("in_progress", "in progress", "bold"),
)


def whole_view(report: Mapping[str, Any], sagas: SagaSet) -> RenderableType:
    """The report on all instances of `sagas`."""
    parts: list[RenderableType] = [_outcomes(report, sagas), Text(), _timings(report, sagas)]
    if report["dead_letters"]:
        parts += [Text(), _dead_letters(report["dead_letters"])]
    if left_out := report["times_left_out"]:
        parts.append(Text(_left_out(left_out, sagas.noun[0]), style="yellow"))
    return Group(*parts, Text(), Text(_tail(report)))


def _left_out(left_out: Mapping[str, int], noun: str) -> str:
    named = ", ".join(
        f"{f'whole {noun}' if name == durations.WHOLE else name} {format_count(number)}"
        for name, number in left_out.items()
    )
    return f"left out, for a clock that they depend on is wrong (`anomalies` says whose): {named}"


def _dead_letters(counts: Mapping[str, int]) -> RenderableType:
    table = Fitted(Column("dead letters"), Column("why"))
    for reason, number in counts.items():
        table.add_row(format_count(number), safe(because_label(reason)))
    return table


def each_view(reports: Sequence[Mapping[str, Any]], total: int, sagas: SagaSet) -> RenderableType:
    """One instance a line; `sagas`: those that are shown."""
    table = Fitted(
        Column(sagas.noun[0]),
        *([Column("saga")] if sagas.several else []),
        Column("state"),
        Column("success", goes=4),
        Column("took", goes=1),
        *(Column(step, goes=5) for step in sagas.step_names),
        Column("mean", goes=6),
        Column("undone", goes=3),
        Column("error", goes=2, wraps=True),
    )
    for one in reports:
        table.add_row(
            safe(key_in(one, sagas)),
            *([one["saga"]] if sagas.several else []),
            state_text(one["state"]),
            _SUCCESS[one["success"]],
            format_duration(one["duration_ms"]),
            *(format_duration(one["steps_ms"].get(step)) for step in sagas.step_names),
            format_duration(one["mean_step_ms"]),
            safe(" ".join(one["compensations"])),
            safe(one["error"] or ""),
        )
    shown = f"{format_count(len(reports))} of {format_count(total)} {sagas.noun[1]}"
    return Group(table, Text(shown, style="dim"))


def one_view(one: Mapping[str, Any], sagas: SagaSet) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row(sagas.noun_of(one["saga"])[0], safe(key_in(one, sagas), "bold"))
    if sagas.several:
        table.add_row("saga", one["saga"])
    table.add_row("state", state_text(one["state"]))
    table.add_row("success", _SUCCESS[one["success"]])
    table.add_row("total time", _total_time(one))
    for step, ms in one["steps_ms"].items():
        table.add_row(f"  {step}", format_duration(ms))
    table.add_row("mean of the steps", format_duration(one["mean_step_ms"]))
    table.add_row("undone", safe(", ".join(one["compensations"]) or "nothing"))
    table.add_row("retries", format_count(one["retries"]))
    table.add_row("error", safe(one["error"] or "none", limit=500))
    return table


def _total_time(one: Mapping[str, Any]) -> str:
    time = format_duration(one["duration_ms"])
    if one["duration_ms"] is None:
        return time
    end = "its completion" if one["state"] == State.COMPLETED else "the last answer to its cancellation"
    return f"{time}, to {end}"


def _outcomes(report: Mapping[str, Any], sagas: SagaSet) -> RenderableType:
    """A line per outcome, state and flag, with its number; of several sagas, also the number in each."""
    parts = {sagas.noun_of(name)[1]: part for name, part in report.get("by_saga", {}).items()}
    columns = (Column(many, goes=1) for many in parts)
    table = Fitted(Column(sagas.noun[1]), Column("number"), Column("share"), *columns)
    own = list(_lines(report, *sagas.noun))
    inside = [dict(enumerate(_lines(part, "", many))) for many, part in parts.items()]
    for place, (label, number, share) in enumerate(own):
        # A line that the whole does not need is in no part either.
        if number or not label.plain.startswith(_ONLY_IF_ANY):
            table.add_row(label, format_count(number), share, *(format_count(part[place][1]) for part in inside))
    return table


# Lines that are left out while there is nothing to count.
_ONLY_IF_ANY = ("no ", "  older ones")


def _lines(report: Mapping[str, Any], noun: str, many: str) -> Iterator[tuple[Text, int, str]]:
    """The label, the number and the share of each line; the same lines for every report."""
    sagas, plural = report["sagas"], field_name(many)
    yield Text("total", style="bold"), sagas["total"], ""
    for name, label, style in _OUTCOMES:
        share = report["outcomes"][f"{name}_percent"]
        yield Text(label, style=style), report["outcomes"][name], "–" if share is None else f"{share:.1f} %"
    for state in PLACED_STATES:
        yield Text("  ").append_text(state_text(state)), sagas[state.lower()], ""
    # Not instances, so in no total.
    yield Text(f"no {noun}: without a beginning", style="dim"), report[f"unknown_{plural}"], ""
    forgotten = report[f"unknown_{plural}_forgotten"] or 0
    yield Text("  older ones of these, forgotten", style="dim"), forgotten, ""
    for flag in (Flag.HELD, Flag.STUCK, Flag.INTERVENTION):
        number = sagas[flag.lower()]
        yield Text(f"  {flag}", style="bold red" if number else "dim"), number, ""
    if (wrong := report["anomalies"]) is not None:
        # All anomalies now, whether of these instances or not.
        yield Text("anomalies", style="bold red" if wrong else "dim"), wrong, ""


def _timings(report: Mapping[str, Any], sagas: SagaSet) -> RenderableType:
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
    names = ("total", "mean", "p50", "p95", "p99", "max")
    # Steps of several sagas may have one name, so each saga has lines of its own.
    for saga, part in report.get("by_saga", {None: report}).items():
        whole = part["duration_ms"]
        label = f"whole {sagas.noun_of(saga)[0]}"
        table.add_row(label, format_count(whole["count"]), *(format_duration(whole[name]) for name in names))
        for step, times in part["steps"].items():
            shown = (format_duration(times[f"{name}_ms"]) for name in names)
            table.add_row(f"  {step}", format_count(times["count"]), *shown)
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
