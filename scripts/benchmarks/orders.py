"""Synthetic orders for benchmarks, made from the contracts' example messages."""

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
# Each event with the type of its cause and its delay (ms) after the event before it.
Steps = list[tuple[str, str | None, int]]


@dataclass(frozen=True)
class OrderPattern:
    """The events of one order. `exhausted_by`: the service that dead-letters the last one."""

    steps: Steps
    exhausted_by: str = ""


_UNDOING: Steps = [
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
    *_UNDOING,
]
# Nine of ten orders are created and one is refused.
HEALTHY = [*[OrderPattern(_CREATED)] * 9, OrderPattern(_REFUSED)]
# Of a hundred orders six stay unfinished, two of them exhausted by payment, and another one contradicts itself.
MIXED = [
    *(*HEALTHY * 9, *HEALTHY[:3], OrderPattern([*_CREATED, ("commande.creee", "paiement.effectue", 40)])),
    *(
        OrderPattern(_CREATED[:1]),
        OrderPattern(_CREATED[:2]),
        OrderPattern(_CREATED[:3]),
        OrderPattern(_CREATED[:4]),
    ),
    *[OrderPattern(_CREATED[:2], exhausted_by="paiement")] * 2,
]


@dataclass(frozen=True)
class Message:
    """`reason`: why the message was dead-lettered, if it was."""

    exchange: str
    type: str
    body: bytes
    reason: str = ""

    @classmethod
    def of(cls, line: bytes) -> Message:
        """The message of a `line`."""
        exchange, type_, reason, body = line.rstrip(b"\n").split(b"\t", 3)
        return cls(exchange.decode(), type_.decode(), body, reason.decode())

    @property
    def line(self) -> bytes:
        # JSON without indentation contains neither tabs nor line breaks.
        return b"\t".join([self.exchange.encode(), self.type.encode(), self.reason.encode(), self.body]) + b"\n"

    def entry(self, offset: int) -> HistoryEntry:
        """The message as an entry of the stream."""
        if not self.reason:
            return HistoryEntry(offset, self.exchange, self.type, self.body, {}, None)
        # Dead-lettered at the time of its event: without a broker's timestamp it would count as activity now.
        at = read_time(json.loads(self.body)["time"])
        return HistoryEntry(offset, self.exchange, self.type, self.body, {REASON_HEADER: self.reason}, at)


def each_order(
    orders: int, start: dt.datetime, apart: dt.timedelta, patterns: Sequence[OrderPattern] = HEALTHY
) -> Iterator[list[Message]]:
    """The messages of each of `orders` orders with random ids. Each order begins `apart` after the one before.

    The delays vary by order.
    """
    templates = {path.stem: json.loads(path.read_text()) for path in _EXAMPLES.glob("*.json")}
    for number in range(orders):
        yield list(_order(number, start + number * apart, templates, patterns[number % len(patterns)]))


def _order(number: int, begun: dt.datetime, templates: dict[str, Any], pattern: OrderPattern) -> Iterator[Message]:
    id_, time, ids = f"CMD-{uuid.uuid4().hex}", begun, dict[str, str]()
    for type_, cause, ms in pattern.steps:
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
    if pattern.exhausted_by:
        yield Message(dlx(pattern.exhausted_by), last.type, last.body, "exhausted")
