"""The history of a run as seen from outside: published messages, stream, dead letters, mails, processes.

Plain data, recorded by `recorder.py` and checked by the checkers. Bodies are parsed with a JSON library alone, so
that a bug of the project's own decoder cannot hide here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contracts.choreography import CHOREOGRAPHY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from choregraphie.saga.choreography import Choreography

STREAM = "saga.history"
EXHAUSTED = "exhausted"


@dataclass(frozen=True)
class EventFields:
    """The fields of an event's body; all None when the body is not an event. `identity`: see `named`."""

    identity: str | None = None
    type: str | None = None
    commande_id: str | None = None
    cause: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def read(body: bytes) -> EventFields:
    """Parse a body without validating it. Never raises."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return EventFields()
    if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
        return EventFields()
    data = content["data"]
    return EventFields(
        named(_text(content.get("id")), _text(content.get("source"))),
        _text(content.get("type")),
        _text(data.get("commande_id")),
        _text(content.get("causationid")),
        data,
    )


def named(id: str | None, source: str | None) -> str | None:
    """The identity of an event: its id with its source, for an id is unique within its source only."""
    return f"{id} of {source}" if id and source else id


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


@dataclass(frozen=True)
class Published:
    """A message that a client published. `refused`: the reason for each service that must dead-letter it."""

    exchange: str
    key: str
    body: bytes
    tries: int = 1
    confirmed: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fields(self) -> EventFields:
        return read(self.body)


@dataclass(frozen=True)
class StreamEntry:
    """An entry of the history stream. `reason`, `broker`: see DeadLetter."""

    exchange: str
    key: str
    body: bytes
    reason: str | None = None
    broker: str | None = None

    @cached_property
    def fields(self) -> EventFields:
        return read(self.body)

    @property
    def said(self) -> bool:
        """Whether a client or a service said it: it is no retry and no dead letter."""
        return self.exchange.endswith((".events", ".commands"))


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter of `service`, with our `reason`, or that of the `broker` when the broker dead-lettered it."""

    service: str
    body: bytes
    reason: str | None
    detail: str | None = None
    broker: str | None = None

    @cached_property
    def fields(self) -> EventFields:
        return read(self.body)


@dataclass(frozen=True)
class QueueState:
    """A queue's figures; None where the broker does not report them."""

    name: str
    messages: int | None
    ready: int | None
    unacked: int | None
    consumers: int | None

    @property
    def counted(self) -> bool:
        return None not in {self.messages, self.ready, self.unacked}

    @property
    def hides(self) -> bool:
        """Whether it counts messages that are neither ready nor unacknowledged."""
        return self.counted and self.messages != (self.ready or 0) + (self.unacked or 0)


@dataclass(frozen=True)
class WorkerState:
    """A worker's resources once everything was quiet (None: unknown), and how it ended on SIGTERM."""

    service: str
    descriptors: int | None
    megabytes: float | None
    exit_code: int | None
    exit_seconds: float


@dataclass(frozen=True)
class WorkerExit:
    """The end of a worker during the run. `sigterms`: how many it got; `killed`: by us, or at a failpoint.

    `age`: seconds it had run at the first SIGTERM. `seconds`: from then to its end, less the time it was frozen.
    """

    service: str
    code: int
    sigterms: int = 0
    killed: bool = False
    age: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Mail:
    """A mail to the customer of an order, from the carrier's folder."""

    commande_id: str
    modele: str


@dataclass(frozen=True)
class Charge:
    """A charge at the card gateway, which runs outside the workers, and whether it was cancelled."""

    key: str
    commande_id: str
    montant: Decimal
    taken_back: bool = False


@dataclass(frozen=True)
class MonitorConnection:
    """A connection of the monitor: the messages that it published and the queues that it consumed."""

    published: int
    queues: tuple[str, ...]


@dataclass(frozen=True)
class MonitorState:
    """What a monitor knows: each order's state and flags, its events and its dead letters."""

    states: Mapping[str, str] = field(default_factory=dict)
    events: frozenset[tuple[str, str, str]] = frozenset()
    dead_letters: frozenset[tuple[str, str | None, str]] = frozenset()
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """Everything seen from outside.

    `complete`: no fault can have lost entries of the stream. `dead_letters`: in the queues at the end; `redriven`:
    sent back before. `allowed_reasons`: the reasons for which the planned faults can have a genuine message
    dead-lettered. `crashes`: the logs that contain a traceback. `live`: the state of the monitor that ran all the
    time; `rebuilt`: of one that read everything at the end; `monitor_connections`: of the live one. `each`: the
    number of workers per service. `saga`: what was declared, of the kind that ran.
    """

    published: tuple[Published, ...] = ()
    stream: tuple[StreamEntry, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    redriven: tuple[DeadLetter, ...] = ()
    queues: tuple[QueueState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    worker_exits: tuple[WorkerExit, ...] = ()
    mails: tuple[Mail, ...] = ()
    charges: tuple[Charge, ...] = ()
    secrets_in_logs: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    complete: bool = True
    allowed_reasons: frozenset[str] = frozenset()
    live: MonitorState | None = None
    rebuilt: MonitorState | None = None
    monitor_connections: tuple[MonitorConnection, ...] = ()
    each: int = 1
    saga: Choreography = CHOREOGRAPHY

    @property
    def genuine(self) -> tuple[Published, ...]:
        return tuple(message for message in self.published if not message.refused)

    @property
    def all_dead_letters(self) -> tuple[DeadLetter, ...]:
        """Every dead letter, also redriven ones, and those that only the stream still has."""
        from_stream = (
            DeadLetter(entry.exchange.removesuffix(".dlx"), entry.body, entry.reason, broker=entry.broker)
            for entry in self.stream
            if entry.exchange.endswith(".dlx")
        )
        # Duplicates keep the last one: the queue's entry, which has the detail.
        all_entries = (*from_stream, *self.redriven, *self.dead_letters)
        return tuple({(each.service, each.body, each.reason, each.broker): each for each in all_entries}.values())

    @cached_property
    def event_ids(self) -> frozenset[str]:
        """The identities of the events in the stream."""
        identities = (entry.fields.identity for entry in self.stream if entry.said)
        return frozenset(identity for identity in identities if identity is not None)
