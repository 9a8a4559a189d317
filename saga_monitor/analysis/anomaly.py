"""One thing that is wrong, of which kind it is, and what decides when an instance's silence is too long."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from choregraphie import Settings
from choregraphie.saga.envelope import Instance
from choregraphie.service.verdict import RetryPolicy

# How long an anomaly is shown after it was last seen, when no event ends it.
RECENT = dt.timedelta(hours=1)


class Kind(StrEnum):
    """The kinds of anomaly, the gravest first."""

    BLIND = "blind"  # the monitor itself cannot see: everything else may be out of date
    LOST_HISTORY = "lost_history"  # events were lost before they were read, or soon will be
    CONTRADICTION = "contradiction"
    REVIEW = "review"  # an orchestrator asks for a person
    HALF_UNDONE = "half_undone"
    STUCK = "stuck"  # silent for longer than its step takes; the flag STUCK knows only the minimum
    HELD = "held"  # a service holds its inbox, because an outside system is down
    NOT_ALLOWED = "not_allowed"
    QUEUE = "queue"  # the state of a queue on the broker, whatever the history says
    DEAD_LETTER = "dead_letter"
    UNKNOWN_EVENTS = "unknown_events"
    REPEATED_START = "repeated_start"
    CLOCK_SKEW = "clock_skew"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that is wrong. `reason`: a fixed word for programs. `sentence`: what happened and what to do.

    `count`: the number of cases it represents: itself and similar ones that were not examined. `letter`: the
    offset of the dead letter that it is about. `saga` and `key`: of the instance, as far as it is about one.
    """

    kind: Kind
    saga: str | None
    key: str | None
    service: str | None
    since: dt.datetime | None
    reason: str
    sentence: str
    count: int = 1
    letter: int | None = None

    @property
    def instance(self) -> Instance | None:
        """The instance that it is about; without a saga's name when only a key is known."""
        return None if self.key is None else Instance(self.saga or "", self.key)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits that decide whether something is wrong.

    `stuck_after`: the shortest silence (s) that makes an instance stuck. `tries`: how often a message is tried.
    `longest`: how long a healthy instance may take. `keep`: how long the monitor remembers one that has ended.
    `deadline` (s): how long one may stay undecided, and how long before its start a cancellation may arrive.
    `command`: how a person starts the command line of the application, which the remedies name.
    """

    stuck_after: float
    tries: int
    longest: dt.timedelta = dt.timedelta(minutes=30)
    keep: dt.timedelta = dt.timedelta(days=30)
    deadline: float = 5400.0
    command: str = "choregraphie"

    @classmethod
    def of(cls, settings: Settings, command: str) -> "Thresholds":
        longest = dt.timedelta(seconds=settings.deadline + settings.longest_hold + sum(settings.retry_delays))
        keep = dt.timedelta(days=settings.monitor_keep_days)
        tries = RetryPolicy(settings.retry_delays).tries
        return cls(settings.stuck_after, tries, longest, keep, settings.deadline, command)
