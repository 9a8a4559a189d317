"""The snapshot as lines of text, each cut to the available width and safe to show."""

import datetime as dt
from collections.abc import Sequence

from rich.text import Text

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_count, format_duration
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.analysis.steps import StepState
from saga_monitor.console.instance_row import elapsed_ms, step_bar
from saga_monitor.console.lines import line, short, stacked
from saga_monitor.console.snapshot import MOST_INSTANCES, Snapshot, SnapshotReader, Special
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.diagnosis.grouping import how_many
from saga_monitor.diagnosis.wording import span
from saga_monitor.projection.queries import SagaSummary, Totals
from saga_monitor.reports.report import PLACED_STATES
from saga_monitor.text.anomaly_list import anomalies_in_words, in_time_words, kind_words, whole_sentence
from saga_monitor.text.freshness import is_fresh
from saga_monitor.text.tables import STATE_STYLES, STEP_GLYPHS, flags_text, whole_time

_LINK_STYLES = {"live": "bold green", "reading": "bold yellow", "connecting": "yellow", "following": "bold green"}
_LOST = {"broker away", "no history", "database trouble"}
_GAP = "  "


def link_word(status: ConsoleStatus, now: dt.datetime) -> tuple[str, str]:
    """The state of the connection to the broker in a few words, the same on every screen."""
    word = status.connection.word
    if status.connection.is_stale(status.as_of, now) or (word in _LOST and not is_fresh(status.as_of, now)):
        age = f"{span(now - status.as_of)} old" if status.as_of else "nothing read yet"
        return f"{word}, {age}", "bold red"
    return word, _LINK_STYLES.get(word, "bold red")


def heading(snapshot: Snapshot, link: tuple[str, str], *, paused: bool) -> Text:
    totals = snapshot.totals
    return line(
        ("chorégraphie ", "bold"),
        link,
        (" · PAUSED" if paused else "", "bold yellow"),
        (f" · {short(totals.in_flight)} in flight of {short(totals.instances)} {snapshot.sagas.noun[1]}", "bold"),
        (f" · {snapshot.now:%H:%M:%S} UTC", "dim"),
    )


def list_line(reader: SnapshotReader, snapshot: Snapshot) -> Text:
    """Which instances are listed, how many, and in which order."""
    searched = f" found by {reader.search}" if reader.search else ""
    filtered = "" if searched and reader.filter is Special.ALL else f"{reader.filter} "
    many = len(snapshot.instances) >= MOST_INSTANCES
    # Only the instances that are shown are sorted.
    sorting = reader.sorting.words(snapshot.sagas.noun[0])
    sorting += " (of these)" if sorting and many else ""
    shown = f"{'the first ' if many else ''}{len(snapshot.instances)} shown"
    saga = f" (saga {reader.saga})" if reader.saga and reader.saga != snapshot.sagas.noun[0] else ""
    return line((f"{filtered}{snapshot.sagas.noun[1]}{saga}{searched} · {shown}{sorting}", "bold"))


def rates(snapshot: Snapshot, width: int) -> Text:
    events, instances = snapshot.rates
    event_bars, instance_bars = snapshot.sparks
    # Two rows of bars with their figures; the bars take the space that is left.
    fit = min(len(event_bars), max(0, (width - 28 - len(snapshot.sagas.noun[1])) // 2))
    return line(
        (event_bars[len(event_bars) - fit :], "cyan"),
        (f" {_rate(events)} events/s   ", ""),
        (instance_bars[len(instance_bars) - fit :], "magenta"),
        (f" {_rate(instances)} {snapshot.sagas.noun[1]}/s", ""),
    )


def states(totals: Totals, width: int) -> Text:
    """The number of instances in each state, on more lines where one is too short."""
    return _filled(
        [
            line((f"{state} ", "dim"), (short(totals.state(state)), f"bold {STATE_STYLES[state]}"))
            for state in _shown_states(totals)
        ],
        width,
    )


def _shown_states(totals: Totals) -> list[State]:
    """UNKNOWN stands last, and only when there is any: it is no instance."""
    return [*PLACED_STATES, *([State.UNKNOWN] if totals.state(State.UNKNOWN) else [])]


def problems(totals: Totals, width: int) -> Text:
    """The figures that are not zero, the most severe first, on more lines where one is too short."""
    figures = [("dead letters ever", totals.count("dead_letters"), "bold red")]
    figures += [(flag, totals.flag(flag), "bold red") for flag in Flag]
    figures += [("retries", totals.count("retries"), "yellow"), ("ignored", totals.ignored, "yellow")]
    shown = [line((f"{name} {short(n)}", style)) for name, n, style in figures if n]
    return _filled(shown or [line(("no dead letter, nothing stuck, no retry", "dim"))], width)


def _filled(parts: Sequence[Text], width: int) -> Text:
    """`parts` on lines of at most `width` columns; a part is never broken."""
    lines: list[list[Text]] = [[]]
    for part in parts:
        if lines[-1] and sum(len(one) + len(_GAP) for one in lines[-1]) + len(part) > width:
            lines.append([])
        lines[-1].append(part)
    return stacked([line((_GAP, "")).join(row) for row in lines])


def anomaly_line(anomaly: Anomaly, sagas: SagaSet) -> Text:
    return line((f"{kind_words(anomaly, sagas).upper()} ", "bold red"), (whole_sentence(anomaly), ""))


def verdict(status: ConsoleStatus, now: dt.datetime) -> tuple[str, str]:
    """The number of anomalies, with the time of the last judgement if that is old."""
    if status.anomalies is None or (status.judged_at is None and not status.anomalies):
        return "not looked at yet", "bold yellow"
    stale = "" if is_fresh(status.judged_at, now) else f" at {status.judged_at:%H:%M:%S} UTC, not looked at since"
    more = f" · {words}" if (words := in_time_words(status.in_time)) else ""
    if status.anomalies:
        return f"{anomalies_in_words(status.anomalies)}{more}{stale}", "bold red"
    if stale:
        return f"nothing was wrong{stale}", "bold yellow"
    return f"nothing is wrong{more}", "bold green"


def instance_heading(instance: SagaSummary, now: dt.datetime, *, several: bool) -> Text:
    """`several`: the name of the saga is shown too."""
    of_saga = f"{instance.saga} " if several else ""
    shown = line((of_saga, "dim"), (instance.key, "bold"), ("  ", ""))
    shown.append_text(line((instance.state, f"bold {STATE_STYLES[instance.state]}")))
    shown.append("  ").append_text(step_bar(instance)).append(f"  {format_duration(elapsed_ms(instance, now))}  ")
    return shown.append_text(flags_text(instance.flags))


def step_times(instance: SagaSummary) -> Text:
    """Each step with its state and its duration."""
    shown = line()
    for step in instance.steps:
        glyph, style = STEP_GLYPHS[step.state]
        shown.append(f"{glyph} {step.step}", style=style)
        shown.append(f" {format_duration(step.duration_ms)}" if step.duration_ms is not None else "", style="bold")
        if step.state is StepState.UNDONE and step.undoing_ms is not None:
            shown.append(f" (undone in {format_duration(step.undoing_ms)})")
        shown.append("   ")
    return shown


def waiting_line(instance: SagaSummary, choreography: Choreography) -> Text:
    """The events that are still awaited, with their services."""
    if not instance.remaining:
        undoings = {step.name for step in choreography.undoings}
        # An orchestrator asks for one after another: none of them was under way since the cancellation.
        steps = () if choreography.orchestrator else instance.steps
        answers = [step.undoing_ms for step in steps if step.step in undoings]
        time = whole_time(instance.state, instance.duration_ms, answers)
        return line((f"{time}; nothing remains" if time else "nothing remains", "dim"))
    awaited = ", ".join(f"{type_} ({choreography.speaker_of.get(type_, '?')})" for type_ in instance.remaining)
    return line(("remains  ", "dim"), (awaited, "yellow"))


def farewell(totals: Totals, many: str, width: int) -> Sequence[Text]:
    """The lines that stay on the terminal after the console has ended. `many`: what instances are called."""
    return [
        line((f"{short(totals.instances)} {many}, {short(totals.in_flight)} in flight", "bold")),
        states(totals, width),
        problems(totals, width),
    ]


def _rate(rate: float) -> str:
    return f"{rate:5.1f}" if rate < 1000 else f"{rate / 1000:4.1f}k"


_SHOWN = 4


def first_anomalies(found: Sequence[Anomaly], sagas: SagaSet) -> Text:
    """One line for each of the first anomalies; the last line counts the others."""
    lines = [anomaly_line(anomaly, sagas) for anomaly in found[:_SHOWN]]
    if len(found) > _SHOWN:
        more = how_many(found[_SHOWN - 1 :])
        lines[-1] = line((f"… and {format_count(more)} more: press a", "bold red"))
    return stacked(lines)
