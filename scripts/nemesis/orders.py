"""Orders of every kind, drawn from a seed, as a foreign client writes them: plain JSON."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

CATALOGUE = """\
[produits]
PROD-1 = 1000000
PROD-2 = 1000000
PROD-RARE = 40
[comptes]
CLIENT-A = 9000000.00
CLIENT-B = 9000000.00
CLIENT-BLOQUE = 9000000.00
CLIENT-JUSTE = 500.00
CLIENT-PAUVRE = 1.00
[clients]
bloques = ["CLIENT-BLOQUE"]
"""

EXCHANGE = "client.events"
ORDERED, CANCELLED = "commande.initiee", "commande.annulation_demandee"


@dataclass(frozen=True)
class ClientEvent:
    """An event for the client to publish `copies` times, `after_seconds` after the order was drawn."""

    key: str
    body: bytes
    after_seconds: float = 0.0
    copies: int = 1


@dataclass(frozen=True)
class OrderKind:
    """How often the kind is drawn, its data, and when its customer asks to cancel (None: never).

    `rival`: a second order with another amount is published under the same id.
    """

    weight: int
    data: dict[str, Any]
    cancel_seconds: float | None = None
    copies: int = 1
    rival: bool = False


ORDER_KINDS = {
    "plain": OrderKind(8, {}),
    "short of stock": OrderKind(1, {"quantite": 900_000, "produit_id": "PROD-RARE"}),
    "scarce": OrderKind(1, {"produit_id": "PROD-RARE"}),
    "unknown product": OrderKind(1, {"produit_id": "PROD-NONE"}),
    "poor": OrderKind(1, {"client_id": "CLIENT-PAUVRE"}),
    "running out of money": OrderKind(1, {"client_id": "CLIENT-JUSTE"}),
    "blocked": OrderKind(2, {"client_id": "CLIENT-BLOQUE"}),
    "cancelled before": OrderKind(1, {}, cancel_seconds=-1.0),
    "cancelled at once": OrderKind(2, {}, cancel_seconds=0.0),
    "cancelled soon": OrderKind(2, {}, cancel_seconds=0.3),
    "cancelled late": OrderKind(2, {}, cancel_seconds=4.0),
    "twice": OrderKind(1, {}, copies=2),
    "rivals under one id": OrderKind(1, {}, rival=True),
}


def make_order(kind: str, commande_id: str, rng: random.Random) -> list[ClientEvent]:
    """The client's events of one order of `kind`, in order."""
    kind_ = ORDER_KINDS[kind]
    data = {
        "commande_id": commande_id,
        "client_id": rng.choice(("CLIENT-A", "CLIENT-B")),
        "produit_id": rng.choice(("PROD-1", "PROD-2")),
        "quantite": rng.randint(1, 3),
        "montant": rng.randint(200, 9999) / 100,
    } | kind_.data
    initiee = ClientEvent(ORDERED, event(ORDERED, data, rng), 0.0, kind_.copies)
    if kind_.rival:
        return [initiee, ClientEvent(ORDERED, event(ORDERED, data | {"montant": 1.23, "quantite": 4}, rng))]
    if kind_.cancel_seconds is None:
        return [initiee]
    demand = {"commande_id": commande_id, "raison": "le client a changé d'avis"}
    cancelled = ClientEvent(CANCELLED, event(CANCELLED, demand, rng), max(0.0, kind_.cancel_seconds))
    return [cancelled, initiee] if kind_.cancel_seconds < 0 else [initiee, cancelled]


def event(type_: str, data: dict[str, Any], rng: random.Random, **other: Any) -> bytes:
    """The minimum that a foreign client must write."""
    event_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    content = {"specversion": "1.0", "id": event_id, "type": type_, "source": "/clients/chaos", "data": data}
    return json.dumps(content | other, ensure_ascii=False).encode()


def random_kind(rng: random.Random) -> str:
    return rng.choices(list(ORDER_KINDS), [kind.weight for kind in ORDER_KINDS.values()])[0]
