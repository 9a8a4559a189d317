"""A violation, the figures of a run, and all the checkers in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Violation:
    """An invariant that does not hold, and where."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.what}"


@dataclass(frozen=True)
class Figures:
    """Of events, by distinct id; `duplicated` counts copies in the stream beyond the first.

    attempted   clients and services wanted to say them
    confirmed   the broker took them
    received    every service that must hear them has them in its inbox, or in its dead letters
    recovered   received though a first try was not confirmed
    lost        confirmed and not received
    unexpected  heard or said, and nobody ever wanted to
    """

    attempted: int = 0
    confirmed: int = 0
    received: int = 0
    duplicated: int = 0
    recovered: int = 0
    lost: int = 0
    unexpected: int = 0
