"""Retries and dead letters, as the history records them. Pure."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Retry:
    """`service` tries the event `event_id` of `source` again at `next`, after `attempt` failed tries.

    `detail`: why the last try failed. `offset` and `at`: where and when the history has the retry.
    `commande_id` is None when the message was unreadable.
    """

    service: str
    event_id: str | None
    offset: int = 0
    source: str = ""
    attempt: int = 1
    at: dt.datetime = _EPOCH
    next: dt.datetime | None = None
    detail: str = ""
    commande_id: str | None = None


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

    `offset` and `at`: where and when the history has the dead letter. `event_id`, `type` and `commande_id` are
    None when the message was unreadable. `copy` is None when no copy is kept.
    """

    service: str
    event_id: str | None
    reason: str
    type: str | None = None
    offset: int = 0
    source: str = ""
    detail: str = ""
    at: dt.datetime = _EPOCH
    commande_id: str | None = None
    copy: Copy | None = field(default=None, compare=False)
