"""What happened in a run, line by line; the trace of a failure, and the fingerprint of a history."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class Line(NamedTuple):
    """At `time` seconds `who` met with `what`. `fro` and `to` are set where a message changed hands."""

    time: float
    who: str
    what: str
    fro: str = ""
    to: str = ""
    order: str = ""


@dataclass
class Diary:
    """Written in the order of events; `clock` gives the time of a line; once `closed`, nothing is added."""

    clock: Callable[[], float] = lambda: 0.0
    lines: list[Line] = field(default_factory=list)
    closed: bool = False

    def note(self, who: str, what: str, *, fro: str = "", to: str = "", order: str = "") -> None:
        if self.closed:
            return
        self.lines.append(Line(round(self.clock(), 6), who, what, fro, to, order))

    def fingerprint(self) -> str:
        """The same for two runs exactly when everything happened alike in both."""
        text = json.dumps(self.lines, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
