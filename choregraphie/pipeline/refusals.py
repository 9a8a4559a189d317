"""How long a login that was good may be refused before a program ends for it."""

import time
from dataclasses import dataclass

from choregraphie.errors import UserError

# Whoever changes a password needs a moment between the server and the file; then a program that goes on trying
# would only look alive.
REFUSED_SECONDS = 60.0
# What is refused is tried that often at least, so a longer gap means that it was accepted in between.
GAP_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 5.0


@dataclass
class RefusedLogin:
    """Counts the seconds since a login was first refused."""

    since: float = 0.0
    last: float = float("-inf")

    def note(self, error: UserError) -> None:
        """Raises `error` when the login has been refused for REFUSED_SECONDS."""
        now = time.monotonic()
        if now - self.last > GAP_SECONDS:
            self.since = now
        self.last = now
        if now - self.since >= REFUSED_SECONDS:
            raise type(error)(f"{error}; refused for {REFUSED_SECONDS:.0f} s")
