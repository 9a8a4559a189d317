"""What happened in a run, line by line; the trace of a failure, and the fingerprint of a history."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class TraceEntry(NamedTuple):
    """At `time` seconds `who` met with `what`. `fro` and `to` are set where a message changed hands."""

    time: float
    actor: str
    what: str
    sender: str = ""
    receiver: str = ""
    order: str = ""


@dataclass
class Trace:
    """Written in the order of events; `clock` gives the time of a line; once `closed`, nothing is added."""

    clock: Callable[[], float] = lambda: 0.0
    entries: list[TraceEntry] = field(default_factory=list)
    closed: bool = False

    def note(self, actor: str, what: str, *, sender: str = "", receiver: str = "", order: str = "") -> None:
        if self.closed:
            return
        self.entries.append(TraceEntry(round(self.clock(), 6), actor, what, sender, receiver, order))

    def digest(self) -> str:
        """The same for two runs exactly when everything happened alike in both."""
        text = json.dumps(self.entries, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
