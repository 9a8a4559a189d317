"""The snapshot as lines of text, each cut to the available width and safe to show."""

import datetime as dt
from collections.abc import Sequence

from rich.text import Text

from choregraphie.terminal.formats import format_count, format_duration
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.analysis.steps import StepState
from saga_monitor.console.snapshot import Snapshot
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.diagnosis.grouping import how_many
from saga_monitor.diagnosis.wording import span
from saga_monitor.projection.queries import Order, Totals
from saga_monitor.reports.report import PLACED_STATES
from saga_monitor.text.anomaly_list import anomalies_in_words, in_time_words, whole_sentence
from saga_monitor.text.freshness import is_fresh
from saga_monitor.text.tables import STATE_STYLES, STEP_GLYPHS, flags_text, safe, whole_time

_LINK_STYLES = {"live": "bold green", "reading": "bold yellow", "connecting": "yellow", "following": "bold green"}
_LOST = {"broker away", "no history", "database trouble"}
_GAP = "  "
# The widths of the columns; the first and the last one share the rest.
FIXED = {"steps": 5, "state": 12, "elapsed": 9}


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
        (f" · {short(totals.in_flight)} in flight of {short(totals.orders)} orders", "bold"),
        (f" · {snapshot.now:%H:%M:%S} UTC", "dim"),
    )


def rates(snapshot: Snapshot, width: int) -> Text:
    events, orders = snapshot.rates
    event_bars, order_bars = snapshot.sparks
    # Two rows of bars with their figures; the bars take the space that is left.
    fit = min(len(event_bars), max(0, (width - 34) // 2))
    return line(
        (event_bars[len(event_bars) - fit :], "cyan"),
        (f" {_rate(events)} events/s   ", ""),
        (order_bars[len(order_bars) - fit :], "magenta"),
        (f" {_rate(orders)} orders/s", ""),
    )


def states(totals: Totals, width: int) -> Text:
    """The number of orders in each state, on more lines where one is too short."""
    return _filled(
        [
            line((f"{state} ", "dim"), (short(totals.state(state)), f"bold {STATE_STYLES[state]}"))
            for state in _shown_states(totals)
        ],
        width,
    )


def _shown_states(totals: Totals) -> list[State]:
    """UNKNOWN stands last, and only when there is any: it is no order."""
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


def anomaly_line(anomaly: Anomaly) -> Text:
    return line((f"{anomaly.kind.replace('_', ' ').upper()} ", "bold red"), (whole_sentence(anomaly), ""))


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


def cells(order: Order, now: dt.datetime, width: int) -> list[Text]:
    """One row of the table, `width` columns in all."""
    widths = column_widths(width)
    state = Text(order.state, style=STATE_STYLES[order.state])
    elapsed = Text(format_duration(_elapsed_ms(order, now)), justify="right")
    rest = _what_next(order, now)
    rest.truncate(widths["waits for"], overflow="ellipsis")
    return [safe(order.commande_id, limit=widths["order"]), step_bar(order), state, elapsed, rest]


def column_widths(width: int) -> dict[str, int]:
    """The widths of the columns, with one blank between two."""
    spare = max(24, width - sum(FIXED.values()) - 2 * (len(FIXED) + 2))
    # On 80 columns: an id as `passer_commande.py` makes them (20), and all of `→ notification.envoyee` (22).
    order = min(40, max(10, (spare * 5 + 5) // 11))
    return {"order": order, **FIXED, "waits for": max(10, spare - order)}


def step_bar(order: Order) -> Text:
    """One glyph per step, in the order of the choreography."""
    bar = Text()
    for step in order.steps:
        bar.append(*STEP_GLYPHS[step.state])
    return bar


def _what_next(order: Order, now: dt.datetime) -> Text:
    """The flags, then what the order waits for, or when it was last heard."""
    shown = flags_text(order.flags)
    for text, style in _hints(order, now):
        shown.append("  " if shown else "").append_text(safe(text, style))
    return shown


def _hints(order: Order, now: dt.datetime) -> list[tuple[str, str]]:
    hints = []
    if not order.at_rest and order.quiet_since > now:
        hints.append((f"retry in {format_duration((order.quiet_since - now).total_seconds() * 1000)}", "yellow"))
    if order.at_rest:
        ago = format_duration(max(0.0, (now - order.heard).total_seconds()) * 1000)
        hints.append((f"{ago} ago", "dim"))
    elif order.remaining:
        more = f" +{len(order.remaining) - 1}" if len(order.remaining) > 1 else ""
        hints.append((f"→ {order.remaining[0]}{more}", ""))
    problems = [(f"{order.dead_letters} dead", "red")] if order.dead_letters else []
    problems += [(f"{order.retries} retried", "yellow")] if order.retries else []
    return hints[:-1] + problems + hints[-1:] if order.at_rest else hints + problems


def order_heading(order: Order, now: dt.datetime) -> Text:
    shown = line((order.commande_id, "bold"), ("  ", ""), (order.state, f"bold {STATE_STYLES[order.state]}"))
    shown.append("  ").append_text(step_bar(order)).append(f"  {format_duration(_elapsed_ms(order, now))}  ")
    return shown.append_text(flags_text(order.flags))


def step_times(order: Order) -> Text:
    """Each step with its state and its duration."""
    shown = line()
    for step in order.steps:
        glyph, style = STEP_GLYPHS[step.state]
        shown.append(f"{glyph} {step.step}", style=style)
        shown.append(f" {format_duration(step.duration_ms)}" if step.duration_ms is not None else "", style="bold")
        if step.state is StepState.UNDONE and step.undoing_ms is not None:
            shown.append(f" (undone in {format_duration(step.undoing_ms)})")
        shown.append("   ")
    return shown


def waiting_line(order: Order) -> Text:
    """The events that are still awaited, with their services."""
    if not order.remaining:
        undoings = {step.service for step in CHOREOGRAPHY.undoings}
        answers = [step.undoing_ms for step in order.steps if step.step in undoings]
        time = whole_time(order.state, order.duration_ms, answers)
        return line((f"{time}; nothing remains" if time else "nothing remains", "dim"))
    awaited = ", ".join(f"{type_} ({CHOREOGRAPHY.speaker_of.get(type_, '?')})" for type_ in order.remaining)
    return line(("remains  ", "dim"), (awaited, "yellow"))


def farewell(totals: Totals, width: int) -> Sequence[Text]:
    """The lines that stay on the terminal after the console has ended."""
    return [
        line((f"{short(totals.orders)} orders, {short(totals.in_flight)} in flight", "bold")),
        states(totals, width),
        problems(totals, width),
    ]


def short(number: int) -> str:
    """A count in at most six characters: `99,999`, `250k`, `1.2M`."""
    if number < 100_000:
        return format_count(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def stacked(lines: Sequence[Text]) -> Text:
    """Several lines, each cut to the available width."""
    return Text("\n", no_wrap=True, overflow="ellipsis", end="").join(lines)


def line(*parts: tuple[str, str]) -> Text:
    shown = Text(no_wrap=True, overflow="ellipsis", end="")
    for text, style in parts:
        shown.append_text(safe(text, style))
    return shown


def _rate(rate: float) -> str:
    return f"{rate:5.1f}" if rate < 1000 else f"{rate / 1000:4.1f}k"


def _elapsed_ms(order: Order, now: dt.datetime) -> float | None:
    if order.duration_ms is not None:
        return order.duration_ms
    return max(0.0, (now - order.started).total_seconds() * 1000) if order.started else None


_SHOWN = 4


def first_anomalies(found: Sequence[Anomaly]) -> Text:
    """One line for each of the first anomalies; the last line counts the others."""
    lines = [anomaly_line(anomaly) for anomaly in found[:_SHOWN]]
    if len(found) > _SHOWN:
        more = how_many(found[_SHOWN - 1 :])
        lines[-1] = line((f"… and {format_count(more)} more: press a", "bold red"))
    return stacked(lines)
