"""The example messages that the contracts ship, as anybody reads them."""

import json
from pathlib import Path
from typing import Any

import contracts

FOLDER = Path(contracts.__file__).parent / "examples"


def example(type_: str) -> dict[str, Any]:
    """A fresh copy of the example of that type, to be changed at will."""
    content: dict[str, Any] = json.loads((FOLDER / f"{type_}.json").read_bytes())
    return content


def changed(type_: str, **data: Any) -> bytes:
    """The example of that type with other data."""
    message = example(type_)
    message["data"] |= data
    return json.dumps(message).encode()


def with_raw(type_: str, field: str, token: str) -> bytes:
    """The example with a token of JSON that Python's own writer would not write, such as `1e400`."""
    message = example(type_)
    message["data"][field] = "@@"
    return json.dumps(message).replace('"@@"', token).encode()
