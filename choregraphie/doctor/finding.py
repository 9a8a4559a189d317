"""The verdict on one thing that was examined."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`unknown`: it could not be examined. Only `wrong` makes the exit code 1."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """`about`: the part, such as `broker`; `what`: what was seen; `remedy`: what to do unless it is ok."""

    about: str
    verdict: Verdict
    what: str
    remedy: str = ""
