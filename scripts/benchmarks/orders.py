"""Orders for a benchmark: stories made from the contracts' example messages."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.rfc3339 import read_time
from choregraphie.saga.topology import REASON_HEADER, dlx, events
from contracts.choreography import CHOREOGRAPHY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EXAMPLES = Path(__file__).resolve().parent.parent.parent / "contracts" / "examples"
# What is said, in answer to what, and how long (ms) after what was said before it.
Steps = list[tuple[str, str | None, int]]


@dataclass(frozen=True)
class Story:
    """`given_up_by`: the service that has set aside what was said last."""

    steps: Steps
    given_up_by: str = ""


_UNDONE: Steps = [
    ("stock.libere", "commande.annulee", 50),
    ("paiement.rembourse", "commande.annulee", 80),
    ("notification.envoyee", "commande.annulee", 120),
]
_CREATED: Steps = [
    ("commande.initiee", None, 0),
    ("stock.reserve", "commande.initiee", 20),
    ("paiement.effectue", "stock.reserve", 30),
    ("commande.creee", "paiement.effectue", 10),
    ("notification.envoyee", "commande.creee", 15),
]
_REFUSED: Steps = [
    ("commande.initiee", None, 0),
    ("stock.reservation_echouee", "commande.initiee", 20),
    ("commande.annulee", "stock.reservation_echouee", 10),
    *_UNDONE,
]
# Of ten orders, nine are created and one is refused.
WELL = [*[Story(_CREATED)] * 9, Story(_REFUSED)]
# Of a hundred, six are cut short, two of them because payment gave up, and one more contradicts itself.
TROUBLED = [
    *(*WELL * 9, *WELL[:3], Story([*_CREATED, ("commande.creee", "paiement.effectue", 40)])),
    *(Story(_CREATED[:1]), Story(_CREATED[:2]), Story(_CREATED[:3]), Story(_CREATED[:4])),
    *[Story(_CREATED[:2], given_up_by="paiement")] * 2,
]


@dataclass(frozen=True)
class Message:
    """`reason`: why it was set aside, when it was."""

    exchange: str
    type: str
    body: bytes
    reason: str = ""

    @classmethod
    def of(cls, line: bytes) -> Message:
        """The message that `line` was written for."""
        exchange, type_, reason, body = line.rstrip(b"\n").split(b"\t", 3)
        return cls(exchange.decode(), type_.decode(), body, reason.decode())

    @property
    def line(self) -> bytes:
        # JSON without indentation holds neither a tab nor a line break.
        return b"\t".join([self.exchange.encode(), self.type.encode(), self.reason.encode(), self.body]) + b"\n"

    def entry(self, offset: int) -> HistoryEntry:
        """The same, as the stream would deliver it."""
        if not self.reason:
            return HistoryEntry(offset, self.exchange, self.type, self.body, {}, None)
        # Set aside as soon as it was said: without a time of the broker's it would be a sign of life now.
        at = read_time(json.loads(self.body)["time"])
        return HistoryEntry(offset, self.exchange, self.type, self.body, {REASON_HEADER: self.reason}, at)


def each_order(
    orders: int, start: dt.datetime, apart: dt.timedelta, stories: Sequence[Story] = WELL
) -> Iterator[list[Message]]:
    """What is said of each of `orders` orders with random ids, each begun `apart` from the one before.

    Delays vary by order.
    """
    templates = {path.stem: json.loads(path.read_text()) for path in _EXAMPLES.glob("*.json")}
    for number in range(orders):
        yield list(_order(number, start + number * apart, templates, stories[number % len(stories)]))


def _order(number: int, begun: dt.datetime, templates: dict[str, Any], story: Story) -> Iterator[Message]:
    id_, time, ids = f"CMD-{uuid.uuid4().hex}", begun, dict[str, str]()
    for type_, cause, ms in story.steps:
        time += dt.timedelta(milliseconds=ms * (1 + number % 50 / 10))
        ids[type_] = uuid.uuid4().hex
        envelope = templates[type_] | {
            "id": ids[type_],
            "subject": id_,
            "correlationid": id_,
            "time": time.isoformat(timespec="milliseconds"),
            "data": templates[type_]["data"] | {"commande_id": id_},
        }
        if cause:
            envelope["causationid"] = ids[cause]
        else:
            envelope.pop("causationid", None)
        last = Message(events(CHOREOGRAPHY.speaker_of[type_]), type_, json.dumps(envelope).encode())
        yield last
    if story.given_up_by:
        yield Message(dlx(story.given_up_by), last.type, last.body, "exhausted")
