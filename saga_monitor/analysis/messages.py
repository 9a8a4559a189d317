"""Retries, holds, dead letters and what operators do about them, as the history records them. Pure."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Retry:
    """`service` tries the event `event_id` of `source` again at `next`, after `attempt` failed tries.

    `detail`: why the last try failed. `offset` and `at`: where and when the history has the retry.
    `saga` and `key` are None when they could not be read.
    """

    service: str
    event_id: str | None
    offset: int = 0
    source: str = ""
    attempt: int = 1
    at: dt.datetime = _EPOCH
    next: dt.datetime | None = None
    detail: str = ""
    saga: str | None = None
    key: str | None = None


# RabbitMQ returns a delayed message some time after it is due, and a notice takes a moment.
GRACE = dt.timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Hold:
    """`service` says that it holds its inbox since `since`, because `outside` is down; or, not `is_open`, no more.

    `detail`: how the last call failed. `until`: when the hold ends at the latest. `next`: by when the service says
    more; without that, it has died and the hold is over. `offset` and `at`: where and when the history has it.
    """

    service: str
    outside: str
    is_open: bool
    since: dt.datetime = _EPOCH
    until: dt.datetime | None = None
    next: dt.datetime | None = None
    detail: str = ""
    offset: int = 0
    at: dt.datetime = _EPOCH
    saga: None = None
    key: None = None

    def lasts(self, now: dt.datetime) -> bool:
        """Whether the inbox is held at `now`."""
        return self.is_open and self.next is not None and now - GRACE < self.next


@dataclass(frozen=True, slots=True)
class Copy:
    """The first bytes of a message (`start`), its size in bytes, and its headers as JSON values."""

    start: bytes
    size: int
    headers: Mapping[str, Any]
    routing_key: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`service` set aside the event `event_id` of `source`, for `reason`.

    `offset` and `at`: where and when the history has the dead letter. `event_id`, `type`, `saga` and `key` are
    None when they could not be read. `copy` is None when no copy is kept. `letter`: its id, as operators name it.
    `ended`: what an operator did about it, after which it needs nobody; empty when nothing was done.
    """

    service: str
    event_id: str | None
    reason: str
    type: str | None = None
    offset: int = 0
    source: str = ""
    detail: str = ""
    at: dt.datetime = _EPOCH
    saga: str | None = None
    key: str | None = None
    copy: Copy | None = field(default=None, compare=False)
    letter: str = field(default="", compare=False)
    ended: str = ""


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """`by` did `act` about the dead letter with the id `letter`; empty when a step of the instance was settled.

    `offset` and `at`: where and when the history has the act. `ends`: whether the letter needs nobody any more.
    `saga` and `key` are None when the letter could not be read.
    """

    act: str
    letter: str
    by: str
    because: str
    service: str
    offset: int = 0
    at: dt.datetime = _EPOCH
    ends: bool = False
    saga: str | None = None
    key: str | None = None

    @property
    def words(self) -> str:
        """What was done, by whom and why, in a few words."""
        return f"{self.act} by {self.by}{f': {self.because}' if self.because else ''}"
