"""Dates an entry by its speaker's clock, within what the reading proves."""

import datetime as dt
from dataclasses import dataclass

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.rfc3339 import read_time, utc
from saga_monitor.records.lenient_parsing import parse_partial, text

# Smaller differences are normal: a clock's error, or the time an entry was on its way.
ORDINARY = dt.timedelta(seconds=5)


@dataclass(slots=True)
class EntryClock:
    """Dates the entries of one reading, in order.

    `now`: nothing was said after it. `since`: everything up to then had been read, so what comes is newer; None
    where nothing was read before, and only the speakers' clocks tell. `before`: when the last one was said.
    """

    now: dt.datetime
    since: dt.datetime | None = None
    before: dt.datetime | None = None

    def of(self, time: dt.datetime | None) -> dt.datetime:
        """Dates the next entry, which itself says `time`.

        An entry without a time was said after its predecessor.
        """
        dated = time or self.before or self.now
        if self.since is not None and dated < self.since - ORDINARY:
            dated = self.since
        self.before = min(dated, self.now)
        return self.before


def time_of(value: object) -> dt.datetime | None:
    try:
        return utc(read_time(text(value), dt.UTC))
    except ValueError:
        return None


def said_at(entry: HistoryEntry, now: dt.datetime) -> dt.datetime | None:
    """The time in an entry: from its properties, or else from its envelope. None when it is later than `now`."""
    time = utc(entry.timestamp) or time_of(parse_partial(entry).time)
    return time if time and time <= now + ORDINARY else None
