"""The anomalies that the board shows: the first few, and how many more there are."""

from collections.abc import Sequence

from rich.text import Text

from choregraphie.terminal.formats import format_count
from saga_monitor.console import rendering
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.diagnosis.grouping import how_many

_SHOWN = 4


def first_anomalies(found: Sequence[Anomaly]) -> Text:
    """A line for each of the first ones; the last line counts the others."""
    lines = [rendering.anomaly_line(anomaly) for anomaly in found[:_SHOWN]]
    if len(found) > _SHOWN:
        more = how_many(found[_SHOWN - 1 :])
        lines[-1] = rendering.line((f"… and {format_count(more)} more: press a", "bold red"))
    return rendering.stacked(lines)
