"""What a --keep left up, written down in `var/`. Standard library only."""

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parents[2] / "var" / "demo.json"
NOTHING_KEPT = "No demonstration was left up."


def kept() -> dict[str, Any] | None:
    """What a --keep left up, as it was written down; None when there is nothing."""
    try:
        record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record


def note(record: dict[str, Any]) -> None:
    # Whole or not at all: --stop must be able to read it.
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps(record), encoding="utf-8")
    fresh.replace(RECORD)


def forget() -> None:
    RECORD.unlink(missing_ok=True)
