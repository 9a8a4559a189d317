"""The state of a circuit breaker in one worker process. Pure: it is told the time, in seconds of any clock.

closed     calls are made; after so many failures in a row it opens
open       calls wait; one at a time is made, as a probe. An answer closes the breaker; when the longest hold has
           passed, it is bypassed.
bypassed   calls are made and fail as without a breaker, until one is answered, which closes it
"""

from dataclasses import dataclass
from enum import Enum

from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.setting_types import LONGEST_HOLD_SECONDS
from choregraphie.settings import Settings


class Change(Enum):
    OPENED = "opened"
    PROBE_FAILED = "probe_failed"  # it stays open
    CLOSED = "closed"
    HOLD_EXPIRED = "hold_expired"


@dataclass
class Breaker:
    """`failures`, `longest_hold`, `probe_every`: its limits, in calls and seconds. Open since `opened_at`."""

    outside: str
    down: tuple[type[Exception], ...]
    failures: int
    longest_hold: float
    probe_every: float
    failed_in_a_row: int = 0
    opened_at: float | None = None
    probe_at: float = 0.0
    bypassed: bool = False

    @classmethod
    def of(cls, declared: CircuitBreaker, settings: Settings) -> "Breaker":
        longest = settings.longest_hold if declared.longest_hold is None else declared.longest_hold
        return cls(
            declared.outside,
            declared.down,
            max(1, settings.hold_after if declared.failures is None else declared.failures),
            min(longest, LONGEST_HOLD_SECONDS),
            settings.probe_every,
        )

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    @property
    def due_at(self) -> float:
        """When the next probe is due, or the hold ends."""
        return min(self.probe_at, self._ends_at)

    @property
    def _ends_at(self) -> float:
        return (self.opened_at or 0.0) + self.longest_hold

    def note(self, failure: Exception | None, now: float) -> Change | None:
        """Note how a call ended that was made, and return what that changes.

        An error that is not of `down` says nothing about the external system.
        """
        if failure is None:
            was_closed = not (self.is_open or self.bypassed)
            self.failed_in_a_row, self.opened_at, self.bypassed = 0, None, False
            return None if was_closed else Change.CLOSED
        if not isinstance(failure, self.down) or self.bypassed:
            return None
        self.failed_in_a_row += 1
        if self.is_open:
            if now < self.probe_at:
                return None  # made before it opened
            self.probe_at = now + self.probe_every
            return Change.PROBE_FAILED
        if self.failed_in_a_row < self.failures:
            return None
        self.opened_at, self.probe_at = now, now + self.probe_every
        return Change.OPENED

    def expire_if_due(self, now: float) -> Change | None:
        """End the hold when it has lasted as long as it may."""
        if not self.is_open or now < self._ends_at:
            return None
        self.opened_at, self.bypassed = None, True
        return Change.HOLD_EXPIRED
