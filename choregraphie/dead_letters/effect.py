"""What the replay of a dead letter does."""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What the replay of a dead letter does."""

    RUNS = "runs"  # its reaction runs
    DONE = "done"  # it was handled already: the replay has no effect
    TOMBSTONED = "tombstoned"  # its reaction was cancelled or given up before it was done: no effect
    ENDED = "ended"  # its instance was cancelled, or its reaction was undone
    SET_ASIDE_AGAIN = "set_aside_again"  # it becomes a dead letter again
    UNKNOWN = "unknown"  # what its service has done cannot be read here


# What nobody wants by mistake; the others are replayed without `--force`.
_REFUSED = frozenset({Effect.TOMBSTONED, Effect.ENDED, Effect.SET_ASIDE_AGAIN, Effect.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a replay does, and why, in a few words."""

    effect: Effect
    why: str

    @property
    def is_refused(self) -> bool:
        """Whether a replay needs `--force`."""
        return self.effect in _REFUSED
