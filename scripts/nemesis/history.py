"""What happened, as somebody outside saw it: what was said, what the stream holds, what was set aside, what left.

Plain data, recorded by `recorder.py` and judged by `checkers.py`. Bodies are read with nothing but a JSON
library, so that a mistake of the project's own reader cannot hide here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

EXHAUSTED = "exhausted"


@dataclass(frozen=True)
class Facts:
    """What a body says about itself; all None when it is not an event. `identity`: see `named`."""

    identity: str | None = None
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
        named(_text(content.get("id")), _text(content.get("source"))),
        _text(content.get("type")),
        _text(data.get("commande_id")),
        _text(content.get("causationid")),
        data,
    )


def named(id: str | None, source: str | None) -> str | None:
    """What names one event among all: its id, which is unique with its source alone. No source has a space."""
    return f"{id} of {source}" if id and source else id


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
    """An entry of the history stream: a message as it was published to `exchange`; for `reason` see Letter."""

    exchange: str
    key: str
    body: bytes
    reason: str | None = None
    broker: str | None = None

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
    """What a queue says of itself; None where it does not say."""

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
        """Whether it counts a message that it neither has ready nor waits for."""
        return self.counted and self.messages != (self.ready or 0) + (self.unacked or 0)


@dataclass(frozen=True)
class WorkerState:
    """A worker once everything was quiet (None: nobody could look), and how it left when asked to."""

    service: str
    descriptors: int | None
    megabytes: float | None
    exit_code: int | None
    seconds_to_leave: float


@dataclass(frozen=True)
class Departure:
    """A worker's end during the run. `asked`: how many SIGTERM it got; `killed`: by us, or at a failpoint.

    `age`: seconds it had run when first asked. `seconds`: how long it then took, without what it was frozen for.
    """

    service: str
    code: int
    asked: int = 0
    killed: bool = False
    age: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Mail:
    """A message that left for the customer of an order, as it lies in the carrier's folder."""

    commande_id: str
    modele: str


@dataclass(frozen=True)
class Charge:
    """What the card gateway, outside the workers, has charged under a key, and whether it was taken back."""

    key: str
    commande_id: str
    montant: Decimal
    taken_back: bool = False


@dataclass(frozen=True)
class Link:
    """A connection of the monitor's: how many messages it published, and the queues it took from."""

    published: int
    queues: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """What a monitor knows: the orders with their state and flags, and what it heard about them."""

    states: Mapping[str, str] = field(default_factory=dict)
    events: frozenset[tuple[str, str, str]] = frozenset()
    letters: frozenset[tuple[str, str | None, str]] = frozenset()
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """Everything seen from outside. `complete`: the stream was never wiped, so it holds all that was said.

    `letters` lie in the queues at the end; `sent_back` lay there before and were redriven. `may_set_aside` holds
    the reasons for which what was planned can have a good message set aside; by itself nothing can.
    `crashes` names the logs in which a process ended with a traceback. `live` is what the monitor knows that was
    there all the while, `anew` what another knows that read it all in the end; `links` are the live one's.
    `each`: how many workers of a service there must be.
    """

    published: tuple[Published, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    letters: tuple[Letter, ...] = ()
    sent_back: tuple[Letter, ...] = ()
    queues: tuple[QueueState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    departures: tuple[Departure, ...] = ()
    mails: tuple[Mail, ...] = ()
    charges: tuple[Charge, ...] = ()
    secrets_in_logs: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    complete: bool = True
    may_set_aside: frozenset[str] = frozenset()
    live: Told | None = None
    anew: Told | None = None
    links: tuple[Link, ...] = ()
    each: int = 1

    @property
    def genuine(self) -> tuple[Published, ...]:
        return tuple(message for message in self.published if not message.refused)

    @property
    def ever_set_aside(self) -> tuple[Letter, ...]:
        """Every letter there was, also one that was sent back: the stream remembers those that nobody counted."""
        remembered = (
            Letter(entry.exchange.removesuffix(".dlx"), entry.body, entry.reason, broker=entry.broker)
            for entry in self.spoken
            if entry.exchange.endswith(".dlx")
        )
        # The stream first: of two accounts of one letter the later stays, and a queue's has the detail.
        found = (*remembered, *self.sent_back, *self.letters)
        return tuple({(each.service, each.body, each.reason, each.broker): each for each in found}.values())

    @cached_property
    def heard(self) -> frozenset[str]:
        """What names the events that the stream holds."""
        said = (entry.facts.identity for entry in self.spoken if entry.exchange.endswith(".events"))
        return frozenset(identity for identity in said if identity is not None)
