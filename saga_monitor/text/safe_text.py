"""Turns foreign strings into printable `Text` without markup."""

from rich.text import Text

from saga_monitor.text.sanitize import printable


def safe(text: object, style: str = "", limit: int | None = None) -> Text:
    """`text` as it may be shown, cut to `limit` characters."""
    shown = printable(str(text))
    return Text(shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…", style=style)
