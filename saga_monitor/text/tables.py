"""Instances as tables for a person.

Texts of others are made printable and passed as `Text`, never as markup: an instance's id may be hostile.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted
from saga_monitor.analysis.saga_state import Flag, State, StepState
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.counters import UNKNOWN_FORGOTTEN
from saga_monitor.projection.models import Totals
from saga_monitor.reports.instance_report import answered_within
from saga_monitor.reports.report import field_name, key_in
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
_GRAVE = {Flag.INTERVENTION, Flag.STUCK, Flag.CONTRADICTION}


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES[state])


def flags_text(flags: Sequence[str]) -> Text:
    return Text(" ").join(
        Text(flag, style="bold red" if flag.partition("+")[0] in _GRAVE else "yellow") for flag in flags
    )


def searched_names(sagas: SagaSet) -> list[str]:
    """The fields that a search looks through besides the key, without `_id`: `client` for `client_id`."""
    return list(dict.fromkeys(name.removesuffix("_id") for saga in sagas for name in saga.searched))


def took(noun: str) -> str:
    """What the column `took` measures."""
    return f"from the beginning to the completion; of a cancelled {noun}, to the last answer to its cancellation"


def instances_table(
    instances: Sequence[Mapping[str, Any]], totals: Totals, now: dt.datetime, sagas: SagaSet, *, full: bool
) -> RenderableType:
    """`sagas`: those whose instances are shown. `full`: nothing is shortened."""
    table = Fitted(
        Column(sagas.noun[0]),
        *([Column("saga")] if sagas.several else []),
        Column("state"),
        Column("took", goes=2),
        Column("last event", goes=3),
        Column("heard" if full else "heard, ago", goes=1),
        Column("flags", wraps=True),
    )
    for instance in instances:
        heard = instance["last_heard"]
        table.add_row(
            safe(key_in(instance, sagas)),
            *([instance["saga"]] if sagas.several else []),
            state_text(instance["state"]),
            format_duration(instance["duration_ms"]),
            safe(instance["last_event"]),
            safe(heard if full else format_duration(max(0.0, (now - _time(heard or "")).total_seconds() * 1000))),
            flags_text(instance["flags"]),
        )
    lines = [Text(_foot(instances, totals, sagas.noun[1]), style="dim")]
    if any(instance["state"] == State.COMPENSATED for instance in instances):
        lines.append(Text(f"took: {took(sagas.noun[0])}", style="dim"))
    return Group(table, *lines)


def _foot(instances: Sequence[Mapping[str, Any]], totals: Totals, many: str) -> str:
    """How many instances are shown and known, and how many keys are no instances."""
    headless = sum(Flag.NO_BEGINNING in instance["flags"] for instance in instances)
    demands = sum(instance["state"] == State.UNKNOWN for instance in instances) - headless
    parts = [f"{format_count(len(instances) - headless - demands)} of {format_count(totals.instances)} {many}"]
    no_beginning = totals.flag(Flag.NO_BEGINNING)
    if never_begun := totals.state(State.UNKNOWN) - no_beginning:
        parts.append(f"apart from them {_of(demands, never_begun)} cancelled, never begun (--state UNKNOWN)")
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


def instance_view(instance: Mapping[str, Any], sagas: SagaSet, *, full: bool) -> RenderableType:
    """`full`: nothing is shortened."""
    choreography = sagas.by_name[instance["saga"]]
    parts: list[RenderableType] = [*_head(instance, sagas, choreography, full=full), Text()]
    parts += [_steps_table(instance["steps"], choreography), Text()] if instance["steps"] else []
    events = instance["events"]
    parts.append(every_event(events) if full else timeline_table(choreography, events, instance["started"]))
    if instance["unknown_events"]:
        parts += [Text(), _unknown_table(instance["unknown_events"])]
    if instance["dead_letters_set_aside"]:
        parts += [Text(), _dead_table(instance["dead_letters_set_aside"], full=full)]
    return Group(*parts)


def _head(instance: Mapping[str, Any], sagas: SagaSet, choreography: Choreography, *, full: bool) -> list[Text]:
    head = Text.assemble(safe(key_in(instance, sagas), "bold"), "  ", state_text(instance["state"]))
    head.append("  ").append_text(flags_text(instance["flags"]))
    remaining, noun = ", ".join(instance["remaining"]) or "nothing", choreography.noun[0]
    if unknown := instance[f"unknown_{field_name(noun)}"]:
        facts = f"no {noun}: {unknown} · retries {instance['retries']} · remaining: nothing"
        when = f"last heard {_clock(instance['last_heard'], full=full)}"
    else:
        answers = _undoing_ms(instance, choreography)
        time = whole_time(instance["state"], instance["duration_ms"], answers)
        facts = " · ".join(
            [*([time] if time else []), f"retries {instance['retries']}", f"remaining: {remaining}"]
        )
        began = instance["started"]
        when = f"began {_clock(began, full=full)}" if began else "its beginning has no time"
    facts = f"saga {choreography.name} · {facts}" if sagas.several else facts
    return [head, Text(facts), Text(when)]


def _undoing_ms(instance: Mapping[str, Any], choreography: Choreography) -> list[int | None]:
    if choreography.orchestrator:
        return []  # one is asked for after another, so none of them was under way since the cancellation
    names = {step.name for step in choreography.undoings}
    return [step["undoing_ms"] for step in instance["steps"] if step["step"] in names]


def whole_time(state: str, duration_ms: int | None, undoing_ms: Sequence[int | None]) -> str:
    """How long the instance took and until which event; empty while it is not settled."""
    if duration_ms is None:
        return ""
    if state == State.COMPLETED:
        return f"completed in {format_duration(duration_ms)}"
    within = answered_within(undoing_ms)
    cancelled = f", {format_duration(within)} after its cancellation" if within is not None else ""
    return f"over {format_duration(duration_ms)} after it began{cancelled}"


def _steps_table(steps: Sequence[Mapping[str, Any]], choreography: Choreography) -> RenderableType:
    undone = "undone in" if choreography.orchestrator else "answered the cancellation in"
    table = Fitted(Column("step"), Column("state"), Column("took"), Column(undone, goes=1))
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
