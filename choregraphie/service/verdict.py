"""Verdicts: what the pipeline does with a delivery, and the retry policy that decides it. Pure."""

import random
from dataclasses import dataclass

from choregraphie.errors import Reason


@dataclass(frozen=True, slots=True)
class Done:
    """Handled, now or before: publish what was decided, then acknowledge."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Deliver it again after `seconds`, through the retry queue of that delay; this was try number `attempt`."""

    seconds: float
    attempt: int
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Set aside with its original bytes, for a person. `detail` is one line.

    For a message that cannot be used, `detail` names the field and no value; for one whose retries are exhausted,
    it is the text of the error.
    """

    reason: Reason
    detail: str
    attempt: int = 1


Verdict = Done | RetryAfter | DeadLetter


@dataclass(frozen=True)
class RetryPolicy:
    """The retry policy of a reaction: the delays between its tries (seconds), and the errors never retried."""

    delays: tuple[float, ...]
    never: tuple[type[Exception], ...] = ()

    @property
    def tries(self) -> int:
        """How often a delivery is tried: once, and once more after each delay."""
        return len(self.delays) + 1

    def after(self, error: Exception, attempt: int) -> RetryAfter | DeadLetter:
        """The verdict on a delivery whose try number `attempt` (1 is the first) ended in `error`."""
        detail = describe(error)
        if isinstance(error, self.never) or attempt >= self.tries:
            return DeadLetter(Reason.EXHAUSTED, detail, attempt)
        return RetryAfter(self.delays[attempt - 1], attempt, detail)


def describe(error: Exception) -> str:
    """An error as one line of at most 300 characters, for a header or a log: its class and its text."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:300].encode(errors="replace").decode()  # a lone surrogate cannot be encoded for the wire


def jittered_ms(seconds: float, rng: random.Random) -> int:
    """The expiration of a message in the retry queue of that delay: 80 to 100 % of it.

    A message expires only at the head of its queue. One with a longer expiration than the queue's own would block
    others, and one with a much shorter one would be blocked; 20 % bounds that.
    """
    return max(1, round(seconds * 1000 * rng.uniform(0.8, 1.0)))
