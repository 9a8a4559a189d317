"""The table of settings, from their declaration."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from choregraphie import Settings
from services.application import APP

ROOT = Path(__file__).resolve().parent.parent


def settings_table() -> str:
    """Markdown: every setting, its default, what it is; the order saga's own last."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    fields = {**Settings.model_fields, **APP.settings.model_fields}
    for name, field in fields.items():
        default = APP.seed if name == "catalogue" else field.get_default(call_default_factory=True)
        rows.append(f"| `SAGA_{name.upper()}` | {_shown(default)} | {field.description} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, Path) and value.is_absolute():
        # A default inside the repository, wherever that is.
        value = value.relative_to(ROOT)
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = ",".join(map(str, value))
    return f"`{value}`" if str(value) else "–"
