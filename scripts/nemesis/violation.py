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

    attempted   clients and services wanted to say them: the client's own list, and the outboxes
    confirmed   the broker had them: they stand in the stream, or in the inbox of another than their speaker
    received    every service that must hear them has them in its inbox, or in its dead letters; those that
                nobody must hear, the stream
    recovered   received though a first try was not confirmed: by the client's own count
    lost        not received, though their speaker was told that the broker had them: client's list, outboxes
    unexpected  in the stream or in an inbox, and nobody ever wanted to say them
    """

    attempted: int = 0
    confirmed: int = 0
    received: int = 0
    duplicated: int = 0
    recovered: int = 0
    lost: int = 0
    unexpected: int = 0
