"""Orders of every kind, chosen by a seed, as a foreign client would write them: plain JSON."""

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
class Saying:
    """Something for the client to say, so many seconds after the order came up, so many times."""

    key: str
    body: bytes
    after_seconds: float = 0.0
    copies: int = 1


@dataclass(frozen=True)
class Kind:
    """How often it comes, what is different about it, and when its customer asks to cancel (None: never).

    `rival`: another order of another amount comes with it, under the same id.
    """

    weight: int
    data: dict[str, Any]
    cancel_seconds: float | None = None
    copies: int = 1
    rival: bool = False


KINDS = {
    "plain": Kind(8, {}),
    "short of stock": Kind(1, {"quantite": 900_000, "produit_id": "PROD-RARE"}),
    "scarce": Kind(1, {"produit_id": "PROD-RARE"}),
    "unknown product": Kind(1, {"produit_id": "PROD-NONE"}),
    "poor": Kind(1, {"client_id": "CLIENT-PAUVRE"}),
    "running out of money": Kind(1, {"client_id": "CLIENT-JUSTE"}),
    "blocked": Kind(2, {"client_id": "CLIENT-BLOQUE"}),
    "cancelled before": Kind(1, {}, cancel_seconds=-1.0),
    "cancelled at once": Kind(2, {}, cancel_seconds=0.0),
    "cancelled soon": Kind(2, {}, cancel_seconds=0.3),
    "cancelled late": Kind(2, {}, cancel_seconds=4.0),
    "twice": Kind(1, {}, copies=2),
    "rivals under one id": Kind(1, {}, rival=True),
}


def make(kind: str, commande_id: str, rng: random.Random) -> list[Saying]:
    """What the client says about one order of `kind`, in order."""
    chosen = KINDS[kind]
    data = {
        "commande_id": commande_id,
        "client_id": rng.choice(("CLIENT-A", "CLIENT-B")),
        "produit_id": rng.choice(("PROD-1", "PROD-2")),
        "quantite": rng.randint(1, 3),
        "montant": rng.randint(200, 9999) / 100,
    } | chosen.data
    ordered = Saying(ORDERED, event(ORDERED, data, rng), 0.0, chosen.copies)
    if chosen.rival:
        return [ordered, Saying(ORDERED, event(ORDERED, data | {"montant": 1.23, "quantite": 4}, rng))]
    if chosen.cancel_seconds is None:
        return [ordered]
    demand = {"commande_id": commande_id, "raison": "le client a changé d'avis"}
    cancelled = Saying(CANCELLED, event(CANCELLED, demand, rng), max(0.0, chosen.cancel_seconds))
    return [cancelled, ordered] if chosen.cancel_seconds < 0 else [ordered, cancelled]


def event(type_: str, data: dict[str, Any], rng: random.Random, **other: Any) -> bytes:
    """The least that a foreign client must write."""
    event_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    content = {"specversion": "1.0", "id": event_id, "type": type_, "source": "/clients/chaos", "data": data}
    return json.dumps(content | other, ensure_ascii=False).encode()


def any_kind(rng: random.Random) -> str:
    return rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
