"""Groups dead letters by service, reason and fault, so that an outage is one line. Pure."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from choregraphie.dead_letters.letter import Letter


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one fault: `example` is one of them, `ids` are at most some."""

    example: Letter
    count: int
    held: int
    first: dt.datetime | None
    last: dt.datetime | None
    ids: tuple[str, ...]


# Service, reason, fingerprint.
Fault = tuple[str, str, str]
# How many ids of a group are shown.
_MOST_IDS = 5


def fault_of(letter: Letter) -> Fault:
    """What letters of one fault have in common."""
    return letter.service, letter.reason, letter.fingerprint


def groups(letters: Iterable[Letter]) -> list[Group]:
    """The letters by service, reason and fingerprint, the largest group of a service first."""
    found: dict[Fault, list[Letter]] = {}
    for letter in letters:
        found.setdefault(fault_of(letter), []).append(letter)
    return sorted(map(_group, found.values()), key=lambda one: (one.example.service, -one.count))


def _group(letters: list[Letter]) -> Group:
    times = [letter.at for letter in letters if letter.at]
    ids = tuple(dict.fromkeys(letter.id for letter in letters))[:_MOST_IDS]
    held = sum(1 for letter in letters if letter.held)
    return Group(letters[0], len(letters), held, min(times, default=None), max(times, default=None), ids)


def group_as_json(group: Group) -> dict[str, Any]:
    """A group for a program."""
    example = group.example
    return {
        "service": example.service,
        "reason": example.reason,
        "fingerprint": example.fingerprint,
        "type": example.type,
        "fault": example.pattern,
        "count": group.count,
        "held": group.held,
        "first_at": group.first.isoformat() if group.first else None,
        "last_at": group.last.isoformat() if group.last else None,
        "ids": list(group.ids),
    }
