"""Dates an entry by its speaker's clock, within what the reading proves."""

import datetime as dt
from dataclasses import dataclass

# A clock that is off by less, or an entry that was on its way for less, is nobody's fault.
ORDINARY = dt.timedelta(seconds=5)


@dataclass(slots=True)
class Dating:
    """Dates the entries of one reading, one after the other.

    `now`: nothing was said after it. `since`: everything up to then had been read, so what comes is newer; None
    where nothing was read before, and only the speakers' clocks tell. `before`: when the last one was said.
    """

    now: dt.datetime
    since: dt.datetime | None = None
    before: dt.datetime | None = None

    def of(self, time: dt.datetime | None) -> dt.datetime:
        """When the next entry was said, which says of itself `time`.

        One that says nothing was said after whatever stands before it.
        """
        dated = time or self.before or self.now
        if self.since is not None and dated < self.since - ORDINARY:
            dated = self.since
        self.before = min(dated, self.now)
        return self.before
