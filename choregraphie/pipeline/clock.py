"""A clock for deadlines that follows the system clock but ignores its jumps.

It does so within one process. A worker that starts trusts the system clock: if that was set forward by an hour
while no worker ran, every instance with less than an hour left expires.
"""

import datetime as dt
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

# A smaller correction is followed. A larger one is a jump, and is ignored: it makes no instance late.
LARGEST_CORRECTION = dt.timedelta(seconds=2)


def _wall() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class SteadyClock:
    """`now()` never goes back, and continues at its pace when the system's clock is set to another time.

    Safe to read from several threads: it has three plain values and no lock, and a race between two readings costs
    at most the difference between them.
    """

    def __init__(
        self, wall: Callable[[], dt.datetime] = _wall, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._base = wall()
        self._since = monotonic()
        self._last = self._base
        self._jump_logged = False

    def now(self) -> dt.datetime:
        """The time as an aware datetime in UTC."""
        steady = self._base + dt.timedelta(seconds=self._monotonic() - self._since)
        wall = self._wall()
        if abs(wall - steady) <= LARGEST_CORRECTION:
            self._base, self._since = wall, self._monotonic()
            steady = wall
            self._jump_logged = False
        elif not self._jump_logged:
            self._jump_logged = True
            log.warning("clock.jumped", by_s=round((wall - steady).total_seconds(), 1))
        self._last = max(self._last, steady)
        return self._last
