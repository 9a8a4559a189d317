"""Lines of text, each cut to the available width and safe to show."""

from collections.abc import Sequence

from rich.text import Text

from choregraphie.terminal.formats import format_count
from saga_monitor.text.sanitize import safe


def line(*parts: tuple[str, str]) -> Text:
    shown = Text(no_wrap=True, overflow="ellipsis", end="")
    for text, style in parts:
        shown.append_text(safe(text, style))
    return shown


def short(number: int) -> str:
    """A count in at most six characters: `99,999`, `250k`, `1.2M`."""
    if number < 100_000:
        return format_count(number)
    return f"{number // 1000}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def stacked(lines: Sequence[Text]) -> Text:
    """Several lines, each cut to the available width."""
    return Text("\n", no_wrap=True, overflow="ellipsis", end="").join(lines)
