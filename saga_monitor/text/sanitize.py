"""Texts of others as cells of tables: printable, and cut to a width."""

from rich.text import Text

from choregraphie.printable import printable


def safe(text: object, style: str = "", limit: int | None = None) -> Text:
    """`text`, printable and cut to `limit` characters."""
    shown = printable(str(text))
    return Text(shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…", style=style)
