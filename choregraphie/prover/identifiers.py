"""Identifiers for what is called by other characters than letters, digits and underscores."""

import re
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def identifiers(items: Iterable[T], text: Callable[[T], str], taken: Collection[str] = ()) -> dict[T, str]:
    """An identifier for each item, made from its text; a number tells apart those that would be equal.

    None of them is one of `taken`.
    """
    found: dict[T, str] = {}
    used = set(taken)
    for item in dict.fromkeys(items):
        name = base = re.sub(r"[^a-zA-Z0-9]", "_", text(item))
        number = 1
        while name in used:
            number += 1
            name = f"{base}_{number}"
        found[item] = name
        used.add(name)
    return found
