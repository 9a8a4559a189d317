"""Orders for a benchmark: whole stories made from the contracts' example messages, as entries of a history."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.choreography import CHOREOGRAPHY
from contracts.topology import events
from services.runtime import HistoryEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXAMPLES = Path(__file__).resolve().parent.parent.parent / "contracts" / "examples"
_SAID_BY = {event.TYPE: event.SAID_BY for event in CHOREOGRAPHY.events}
_UNDONE = [
    ("stock.libere", "commande.annulee", 50),
    ("paiement.rembourse", "commande.annulee", 80),
    ("notification.envoyee", "commande.annulee", 120),
]
_CREATED = [
    ("commande.initiee", None, 0),
    ("stock.reserve", "commande.initiee", 20),
    ("paiement.effectue", "stock.reserve", 30),
    ("commande.creee", "paiement.effectue", 10),
    ("notification.envoyee", "commande.creee", 15),
]
_REFUSED = [
    ("commande.initiee", None, 0),
    ("stock.reservation_echouee", "commande.initiee", 20),
    ("commande.annulee", "stock.reservation_echouee", 10),
    *_UNDONE,
]
# Of ten orders, nine are created and one is refused. The delays (ms) are since the event before it.
_STORIES = [_CREATED] * 9 + [_REFUSED]


@dataclass(frozen=True)
class Message:
    exchange: str
    type: str
    body: bytes


def messages(orders: int, start: dt.datetime, apart: dt.timedelta) -> Iterator[Message]:
    """`orders` orders with random ids, each begun `apart` from the one before; delays vary by order."""
    templates = {path.stem: json.loads(path.read_text()) for path in _EXAMPLES.glob("*.json")}
    for number in range(orders):
        yield from _order(number, start + number * apart, templates)


def _order(number: int, begun: dt.datetime, templates: dict[str, Any]) -> Iterator[Message]:
    id_, time, ids = f"CMD-{uuid.uuid4().hex}", begun, dict[str, str]()
    for type_, cause, ms in _STORIES[number % len(_STORIES)]:
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
        yield Message(events(_SAID_BY[type_]), type_, json.dumps(envelope).encode())


def entries(told: Iterator[Message]) -> Iterator[HistoryEntry]:
    """The same, as the stream would deliver them."""
    for offset, message in enumerate(told):
        yield HistoryEntry(offset, message.exchange, message.type, message.body, {}, None)
