"""Verdicts: what the pipeline does with a delivery, and the retry policy that decides it. Pure."""

import random
from dataclasses import dataclass

from choregraphie.errors import BadApplication, Reason

# The bounds of declared tries are those of SAGA_RETRY_DELAYS.
MOST_TRIES = 21
SHORTEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.001, 86_400


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


@dataclass(frozen=True)
class RetryOverride:
    """Other tries for a reaction than the settings give. Raises BadApplication.

    tries  how many in all: with the first delays of SAGA_RETRY_DELAYS between them, so never more than those give
    delay  the seconds between them, in place of SAGA_RETRY_DELAYS; needs `tries`
    never  the errors that no retry queue helps

    Each error still gets an immediate second try, when the deliveries of the failed group are executed one by one.
    """

    tries: int | None = None
    delay: float | None = None
    never: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if self.delay is None:
            return
        if self.tries is None or not 1 < self.tries <= MOST_TRIES:
            raise BadApplication(f"RetryOverride(delay={self.delay}): give it tries= from 2 to {MOST_TRIES}")
        if not SHORTEST_DELAY_SECONDS <= self.delay <= LONGEST_DELAY_SECONDS:
            bounds = f"from {SHORTEST_DELAY_SECONDS} to {LONGEST_DELAY_SECONDS} s"
            raise BadApplication(f"RetryOverride(delay={self.delay}): give it a delay {bounds}")

    @property
    def delays(self) -> tuple[float, ...]:
        """The delays that the reaction declares itself."""
        return () if self.delay is None or self.tries is None else (self.delay,) * (self.tries - 1)

    def policy(self, delays: tuple[float, ...]) -> RetryPolicy:
        """The retry policy of the reaction under the settings' `delays` (seconds)."""
        tries = len(delays) + 1 if self.tries is None else max(1, self.tries)
        return RetryPolicy(self.delays or delays[: tries - 1], self.never)


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
