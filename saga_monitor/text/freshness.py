"""How current the rows are, and the word for the connection to the broker."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from saga_monitor.reports.report import rfc3339

# An idle reader notes twice a second that it has reached the end of the stream.
FRESH = dt.timedelta(seconds=15)
_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)
_KEPT_UP = {"live", "reading", "following"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """When the rows were last true, and whether that is as new as the time asked about."""

    as_of: dt.datetime | None
    fresh: bool

    def as_json(self) -> dict[str, Any]:
        """The fields that every answer to a program has; `as_of` only when the answer is older than asked."""
        return {"fresh": True} if self.fresh else {"fresh": False, "as_of": rfc3339(self.as_of)}


@dataclass
class Link:
    """The last report of the reader. `since`: when the current uninterrupted reading began."""

    word: str = "connecting"
    detail: str = ""
    since: dt.datetime = _NEVER

    def change(self, word: str, detail: str, now: dt.datetime) -> None:
        """Note a report of the reader."""
        if word in _KEPT_UP and self.word not in _KEPT_UP:
            self.since = now
        self.word, self.detail = word, detail

    @property
    def keeps_up(self) -> bool:
        """Whether the stream is being read, by this monitor or by the one that writes the file."""
        return self.word in _KEPT_UP

    def ready(self, as_of: dt.datetime | None, now: dt.datetime) -> bool:
        """Whether the file is current. While entries are unread, an instance's silence means nothing."""
        return self.keeps_up and as_of is not None and as_of >= self.since and is_fresh(as_of, now)

    def is_stale(self, as_of: dt.datetime | None, now: dt.datetime) -> bool:
        """Whether this monitor follows another one that has not reached the end of the stream for a while."""
        return self.word == "following" and not is_fresh(as_of, now)

    def explained(self, as_of: dt.datetime | None, now: dt.datetime) -> str:
        """The details of the word, in a sentence; may be empty."""
        if not self.is_stale(as_of, now):
            return self.detail
        since = f"since {as_of:%Y-%m-%d %H:%M:%S} UTC" if as_of else "yet"
        return f"the monitor that writes this file has not caught up {since}: its broker may be away"


def is_fresh(as_of: dt.datetime | None, now: dt.datetime) -> bool:
    return as_of is not None and now - as_of < FRESH
