"""The anomalies that the board shows: the first few, and how many more there are."""

from collections.abc import Sequence

from rich.text import Text

from saga_monitor.anomalies import Anomaly
from saga_monitor.console import drawing
from saga_monitor.groups import how_many
from services.runtime import format_count

_SHOWN = 4


def first_anomalies(found: Sequence[Anomaly]) -> Text:
    """A line for each of the first ones; the last line counts the others."""
    lines = [drawing.anomaly_line(anomaly) for anomaly in found[:_SHOWN]]
    if len(found) > _SHOWN:
        more = how_many(found[_SHOWN - 1 :])
        lines[-1] = drawing.line((f"… and {format_count(more)} more: press a", "bold red"))
    return drawing.stacked(lines)
