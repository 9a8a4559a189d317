"""The table of settings, from their declaration."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from choregraphie import Settings

ROOT = Path(__file__).resolve().parent.parent


def settings_table() -> str:
    """Markdown: every setting, its default, what it is."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `SAGA_{name.upper()}` | {_shown(field.default)} | {field.description} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, Path) and value.is_absolute():
        # A default inside the repository, wherever that is.
        value = value.relative_to(ROOT)
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = ",".join(map(str, value))
    return f"`{value}`" if str(value) else "–"
