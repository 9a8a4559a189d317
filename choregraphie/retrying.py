"""When the next session is tried after one that failed, and how long a refused login is tried at all."""

import random
import time
from dataclasses import dataclass

from choregraphie.errors import LoginRefused, UserError

LONGEST_WAIT_SECONDS = 30.0
# When a password is changed, the server and the file differ for a moment. After a minute the program ends: one
# that only kept trying would look healthy.
REFUSED_SECONDS = 60.0
# A refused login is tried again within this time, so after a longer gap it must have been accepted in between. The
# gap ends when the next try is asked about: the answer may take PostgreSQL or a pooler seconds.
GAP_SECONDS = 30.0
# The longest pause between two tries of a refused login.
LONGEST_PAUSE_SECONDS = 5.0
# After a session that lasted this long, the backoff begins again.
GOOD_SESSION_SECONDS = 10.0


def backoff(failures: int, rng: random.Random | None = None) -> float:
    """The seconds to wait after that many failures in a row: doubling from 0.5 to 30, times 0.5 to 1.5."""
    spread = (rng or random).uniform(0.5, 1.5)
    return min(LONGEST_WAIT_SECONDS, 0.5 * 2.0 ** min(failures - 1, 10)) * spread


@dataclass
class SessionBackoff:
    """The pauses between sessions that are lost."""

    failures: int = 0

    def seconds(self, error: Exception, lasted: float, rng: random.Random | None = None) -> float:
        """The seconds to wait after a session that lasted `lasted` seconds and ended with `error`."""
        self.failures = 1 if lasted > GOOD_SESSION_SECONDS else self.failures + 1
        wait = backoff(self.failures, rng)
        return min(wait, LONGEST_PAUSE_SECONDS) if isinstance(error, LoginRefused) else wait


@dataclass
class RefusedLogin:
    """Measures how long a login has been refused."""

    since: float = 0.0
    last: float = float("-inf")

    def note(self, error: UserError, asked_at: float | None = None) -> None:
        """Note a refusal. Raises `error` when the login has been refused for REFUSED_SECONDS.

        `asked_at`: the time.monotonic() when the server was asked whether it refuses; by default, now.
        """
        now = time.monotonic()
        if (now if asked_at is None else asked_at) - self.last > GAP_SECONDS:
            self.since = now
        self.last = now
        if now - self.since >= REFUSED_SECONDS:
            raise type(error)(f"{error}; refused for {REFUSED_SECONDS:.0f} s")
