"""Records the schemas of what is written: run `python -m tests.contracts.record` after a deliberate change."""

import json
from pathlib import Path
from typing import Any

from choregraphie.saga.registry import adapter
from contracts.registry import EVENTS

SCHEMAS = Path(__file__).parent / "schemas"


def schema(type_: str) -> dict[str, Any]:
    """The JSON schema of a message of that type as this project writes it."""
    return adapter(EVENTS[type_]).json_schema(mode="serialization")


def recorded(type_: str) -> Path:
    return SCHEMAS / f"{type_}.json"


def main() -> None:
    SCHEMAS.mkdir(exist_ok=True)
    for type_ in EVENTS:
        recorded(type_).write_text(json.dumps(schema(type_), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
