"""What happened, as somebody outside saw it: what clients said, what the stream holds, what was set aside.

Plain data, recorded by `recorder.py` and judged by `checkers.py`. Bodies are read with nothing but a JSON
library, so that a mistake of the project's own reader cannot hide here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

EXHAUSTED = "exhausted"


@dataclass(frozen=True)
class Facts:
    """What a body says about itself; all None when it is not an event."""

    event_id: str | None = None
    type: str | None = None
    commande_id: str | None = None
    cause: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def read(body: bytes) -> Facts:
    """Read a body without believing it. Never raises for the bytes' sake."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return Facts()
    if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
        return Facts()
    data = content["data"]
    return Facts(
        _text(content.get("id")),
        _text(content.get("type")),
        _text(data.get("commande_id")),
        _text(content.get("causationid")),
        data,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


@dataclass(frozen=True)
class Published:
    """What a client wanted to say. `refused` names, for each service that gets it and must set it aside, why."""

    exchange: str
    key: str
    body: bytes
    tries: int = 1
    confirmed: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def facts(self) -> Facts:
        return read(self.body)


@dataclass(frozen=True)
class Spoken:
    """An entry of the history stream: a message as it was published to `exchange`."""

    exchange: str
    key: str
    body: bytes

    @cached_property
    def facts(self) -> Facts:
        return read(self.body)


@dataclass(frozen=True)
class Letter:
    """A dead letter of `service`. One without a reason of ours was set aside by the broker, saying `broker`."""

    service: str
    body: bytes
    reason: str | None
    detail: str | None = None
    broker: str | None = None

    @cached_property
    def facts(self) -> Facts:
        return read(self.body)


@dataclass(frozen=True)
class QueueState:
    name: str
    messages: int
    ready: int
    unacked: int
    consumers: int


@dataclass(frozen=True)
class WorkerState:
    """A worker once everything was quiet, and how it left when asked to."""

    service: str
    descriptors: int
    megabytes: float
    exit_code: int | None
    seconds_to_leave: float


@dataclass(frozen=True)
class Told:
    """What a monitor knows: the orders with their state, and what it heard about them."""

    states: Mapping[str, str] = field(default_factory=dict)
    events: frozenset[tuple[str, str, str]] = frozenset()
    letters: frozenset[tuple[str, str | None, str]] = frozenset()


@dataclass(frozen=True)
class History:
    """Everything seen from outside. `complete`: the stream was never wiped, so it holds all that was said.

    `crashes` names the logs in which a process ended with a traceback. `live` is what the monitor knows that was
    there all the while, `anew` what another knows that read it all in the end.
    """

    published: tuple[Published, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    letters: tuple[Letter, ...] = ()
    queues: tuple[QueueState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    secrets_in_logs: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    complete: bool = True
    live: Told | None = None
    anew: Told | None = None

    @property
    def genuine(self) -> tuple[Published, ...]:
        return tuple(message for message in self.published if not message.refused)
