"""Records what writers promise: `python -m tests.contracts.record` after a change that is meant."""

import json
from pathlib import Path
from typing import Any

from choregraphie.saga.registry import adapter
from contracts.registry import EVENTS

SCHEMAS = Path(__file__).parent / "schemas"


def schema(type_: str) -> dict[str, Any]:
    """What a message of that type looks like when this project writes it."""
    return adapter(EVENTS[type_]).json_schema(mode="serialization")


def recorded(type_: str) -> Path:
    return SCHEMAS / f"{type_}.json"


def main() -> None:
    SCHEMAS.mkdir(exist_ok=True)
    for type_ in EVENTS:
        recorded(type_).write_text(json.dumps(schema(type_), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
