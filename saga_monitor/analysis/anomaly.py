"""One thing that is wrong, of which kind it is, and what decides when an order's silence is too long."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from choregraphie import Settings
from choregraphie.service.verdict import RetryPolicy

# What has no end of its own is shown for this long after it was last seen.
RECENT = dt.timedelta(hours=1)


class Kind(StrEnum):
    """The gravest first."""

    BLIND = "blind"  # of the monitor itself: what follows may be old
    LOST_HISTORY = "lost_history"  # events were lost before they were read, or soon will be
    CONTRADICTION = "contradiction"
    HALF_UNDONE = "half_undone"
    STUCK = "stuck"  # silent for longer than its step takes: fewer than have the flag, which knows the floor alone
    NOT_ALLOWED = "not_allowed"
    QUEUE = "queue"  # of the broker's queues, whatever the history tells
    DEAD_LETTER = "dead_letter"
    UNKNOWN_EVENTS = "unknown_events"
    REPEATED_ORDER = "repeated_order"
    CLOCK_SKEW = "clock_skew"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """`reason`: one word for a program, of a few. `sentence`: what happened, and what to do, for a person.

    `count`: how many it stands for: itself, and those like it that were not looked at. `letter`: of a dead letter,
    its number in the file.
    """

    kind: Kind
    commande_id: str | None
    service: str | None
    since: dt.datetime | None
    reason: str
    sentence: str
    count: int = 1
    letter: int | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`stuck_after`: the shortest silence (s) that makes an order stuck; `tries`: how many a message has.

    `longest`: how long an order may be under way without fault; `keep`: how long the monitor remembers.
    `deadline` (s): how long an order may stay undecided, and a demand to cancel it may come before it.
    """

    stuck_after: float
    tries: int
    longest: dt.timedelta = dt.timedelta(minutes=30)
    keep: dt.timedelta = dt.timedelta(days=30)
    deadline: float = 900.0

    @classmethod
    def of(cls, settings: Settings) -> "Thresholds":
        longest = dt.timedelta(seconds=settings.deadline + sum(settings.retry_delays))
        keep = dt.timedelta(days=settings.monitor_keep_days)
        return cls(
            settings.stuck_after, RetryPolicy(settings.retry_delays).tries, longest, keep, settings.deadline
        )
