"""One row of the table: an instance, its steps, its state, and what comes next."""

import datetime as dt

from rich.text import Text

from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_duration
from saga_monitor.projection.queries import SagaSummary
from saga_monitor.text.tables import STATE_STYLES, STEP_GLYPHS, flags_text, safe

# The width of the column: of the longest duration.
ELAPSED = 9


def cells(instance: SagaSummary, now: dt.datetime, width: int, sagas: SagaSet) -> list[Text]:
    """One row of the table of `sagas`, `width` columns in all."""
    widths = column_widths(width, sagas)
    state = Text(instance.state, style=STATE_STYLES[instance.state])
    elapsed = Text(format_duration(elapsed_ms(instance, now)), justify="right")
    rest = _what_next(instance, now)
    rest.truncate(widths["waits for"], overflow="ellipsis")
    key = safe(instance.key, limit=widths[sagas.noun[0]])
    return [key, *([Text(instance.saga)] if sagas.several else []), step_bar(instance), state, elapsed, rest]


def column_widths(width: int, sagas: SagaSet) -> dict[str, int]:
    """The widths of the columns of the table of `sagas`, with one blank between two."""
    steps = max((len(saga.steps) for saga in sagas), default=0)
    fixed = {"saga": max(map(len, sagas.by_name))} if sagas.several else {}
    fixed |= {"steps": max(5, steps), "state": 12, "elapsed": ELAPSED}
    spare = max(24, width - sum(fixed.values()) - 2 * (len(fixed) + 2))
    # On 80 columns: an id as `passer_commande.py` makes them (20), and all of `→ notification.envoyee` (22).
    key = min(40, max(10, (spare * 5 + 5) // 11))
    return {sagas.noun[0]: key, **fixed, "waits for": max(10, spare - key)}


def step_bar(instance: SagaSummary) -> Text:
    """One glyph per step, in the order of the choreography."""
    bar = Text()
    for step in instance.steps:
        bar.append(*STEP_GLYPHS[step.state])
    return bar


def _what_next(instance: SagaSummary, now: dt.datetime) -> Text:
    """The flags, then what the instance waits for, or when it was last heard."""
    shown = flags_text(instance.flags)
    for text, style in _hints(instance, now):
        shown.append("  " if shown else "").append_text(safe(text, style))
    return shown


def _hints(instance: SagaSummary, now: dt.datetime) -> list[tuple[str, str]]:
    hints = []
    if not instance.at_rest and instance.quiet_since > now:
        hints.append(
            (f"retry in {format_duration((instance.quiet_since - now).total_seconds() * 1000)}", "yellow")
        )
    if instance.at_rest:
        ago = format_duration(max(0.0, (now - instance.heard).total_seconds()) * 1000)
        hints.append((f"{ago} ago", "dim"))
    elif instance.remaining:
        more = f" +{len(instance.remaining) - 1}" if len(instance.remaining) > 1 else ""
        hints.append((f"→ {instance.remaining[0]}{more}", ""))
    problems = [(f"{instance.dead_letters} dead", "red")] if instance.dead_letters else []
    problems += [(f"{instance.retries} retried", "yellow")] if instance.retries else []
    return hints[:-1] + problems + hints[-1:] if instance.at_rest else hints + problems


def elapsed_ms(instance: SagaSummary, now: dt.datetime) -> float | None:
    if instance.duration_ms is not None:
        return instance.duration_ms
    return max(0.0, (now - instance.started).total_seconds() * 1000) if instance.started else None
