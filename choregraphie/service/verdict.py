"""What is to become of a delivery, and the policy that says so. Pure."""

import random
from dataclasses import dataclass

from choregraphie.errors import Reason


@dataclass(frozen=True, slots=True)
class Done:
    """Dealt with, now or before: say what was decided, then acknowledge."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Come back after `seconds`, by the retry queue of that delay; this was try number `attempt`."""

    seconds: float
    attempt: int
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Set aside with its original bytes, for a person. `detail` is one line.

    Of a message that cannot be used it names the field, and no value; of one that was given up it is the text of
    the error.
    """

    reason: Reason
    detail: str
    attempt: int = 1


Verdict = Done | RetryAfter | DeadLetter


@dataclass(frozen=True)
class RetryPolicy:
    """The retry policy of a reaction: the delays of the ladder (seconds), and the errors it is no use on."""

    delays: tuple[float, ...]
    never: tuple[type[Exception], ...] = ()

    def after(self, error: Exception, attempt: int) -> RetryAfter | DeadLetter:
        """The verdict on a delivery whose try number `attempt` (1 is the first) ended in `error`."""
        detail = describe(error)
        if isinstance(error, self.never) or attempt > len(self.delays):
            return DeadLetter(Reason.EXHAUSTED, detail, attempt)
        return RetryAfter(self.delays[attempt - 1], attempt, detail)


def describe(error: Exception) -> str:
    """An error for a header or a log: its kind and its text, one line, bounded."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:300].encode(errors="replace").decode()  # half a character could not be written to the wire


def jittered_ms(seconds: float, rng: random.Random) -> int:
    """How long a message waits in the queue of that delay: 80 to 100 % of it.

    A message expires only at the head of its queue, so an expiration above the queue's own would block others,
    and one far below it would be blocked; 20 % bounds that.
    """
    return max(1, round(seconds * 1000 * rng.uniform(0.8, 1.0)))
