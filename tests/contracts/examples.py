"""The example messages of the contracts, read as JSON."""

import json
from pathlib import Path
from typing import Any

import contracts

FOLDER = Path(contracts.__file__).parent / "examples"


def example(type_: str) -> dict[str, Any]:
    """Return a copy of the example of that type."""
    content: dict[str, Any] = json.loads((FOLDER / f"{type_}.json").read_bytes())
    return content


def changed(type_: str, **data: Any) -> bytes:
    """The example of that type with other data."""
    message = example(type_)
    message["data"] |= data
    return json.dumps(message).encode()


def with_raw(type_: str, field: str, token: str) -> bytes:
    """Return the example with a JSON token that Python's `json` does not write, such as `1e400`."""
    message = example(type_)
    message["data"][field] = "@@"
    return json.dumps(message).replace('"@@"', token).encode()
