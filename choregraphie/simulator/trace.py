"""The trace of a run: what happened, entry by entry, and its two forms for a person.

A person reads numbered steps and a Mermaid sequence diagram.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class TraceEntry(NamedTuple):
    """At `time` seconds, `actor` did `what`. `sender` and `receiver` are set when a message was delivered."""

    time: float
    actor: str
    what: str
    sender: str = ""
    receiver: str = ""
    key: str = ""


@dataclass
class Trace:
    """The entries in order. `clock` gives the time; once `closed`, nothing is added."""

    clock: Callable[[], float] = lambda: 0.0
    entries: list[TraceEntry] = field(default_factory=list)
    closed: bool = False

    def note(self, actor: str, what: str, *, sender: str = "", receiver: str = "", key: str = "") -> None:
        if self.closed:
            return
        self.entries.append(TraceEntry(round(self.clock(), 6), actor, what, sender, receiver, key))

    def digest(self) -> str:
        """A digest that is equal for two runs exactly when their traces are equal."""
        text = json.dumps(self.entries, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# A longer diagram is unreadable; a failure shows at the end.
MOST_STEPS = 120
# Mermaid ends a statement at these, or reads markup into them.
_FORBIDDEN = re.compile(r"[;:#<>\n]+")


def steps(entries: Sequence[TraceEntry]) -> list[str]:
    """One numbered sentence per entry."""
    return [
        f"{number:3}. {entry.time:7.2f} s  {entry.actor} {entry.what}{f' ({entry.key})' if entry.key else ''}"
        for number, entry in enumerate(entries, start=1)
    ]


def mermaid(entries: Sequence[TraceEntry], found: Sequence[str], speakers: Sequence[str]) -> str:
    """A sequence diagram, with the lifelines of `speakers` first.

    Arrows are in the order of delivery, so overtaking shows; other entries are notes.
    """
    last = entries[-MOST_STEPS:]
    names = [*dict.fromkeys(name for entry in last for name in _participants(entry))]
    first = [name for name in speakers if name in names]
    drawn = ["sequenceDiagram"]
    drawn += [f"    participant {name}" for name in (*first, *(name for name in names if name not in first))]
    drawn += [f"    {_statement(entry)}" for entry in last]
    if names:
        across = f"{(first or names)[0]},{(first or names)[-1]}"
        drawn += [f"    Note over {across}: ✗ {_plain(violation)}" for violation in found]
    return "\n".join(drawn)


def _participants(entry: TraceEntry) -> Iterator[str]:
    if entry.sender:
        yield _participant(entry.sender)
    yield _participant(entry.actor)


def _statement(entry: TraceEntry) -> str:
    about = _plain(f"{entry.what} {entry.key}".strip())
    if entry.sender:
        return f"{_participant(entry.sender)}->>{_participant(entry.receiver)}: {about}"
    return f"Note over {_participant(entry.actor)}: {about}"


def _participant(name: str) -> str:
    """The lifeline of `name`: the workers of a service share one."""
    return re.sub(r"-\d+$", "", name).replace(" ", "_")


def _plain(text: str) -> str:
    return " ".join(_FORBIDDEN.sub(" ", text).split())[:120]
