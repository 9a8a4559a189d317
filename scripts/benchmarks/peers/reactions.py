"""The order saga for peers: each delivery as statements of plain SQL, the same for every database.

A reaction yields its statements one by one and is sent the first row of each, or None. So it knows no driver: a
store executes them in one transaction, which holds the inbox row, the business rows, the journal row and the
outbox row, as ours does.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from scripts.benchmarks.peers.events import (
    CommandeCreee,
    CommandeInitiee,
    Envelope,
    Event,
    NotificationEnvoyee,
    PaiementEffectue,
    StockReserve,
    adapter,
    wrap,
)

Statement = tuple[str, tuple[Any, ...]]
# A reaction returns what is to be said, or None, and what the journal notes.
Answer = Generator[Statement, Any, tuple[Event | None, dict[str, Any]]]
DAY_US = 86_400_000_000
MARK = "UPDATE outbox SET said_at = ? WHERE event_id = ?"


class Said(NamedTuple):
    """An event to publish to `exchange`; its type is the routing key."""

    id: str
    type: str
    exchange: str
    key: str
    body: bytes


def read(type_: str, body: bytes) -> Envelope[Any]:
    """Parse and validate a body of that event type."""
    return adapter(EVENTS[type_]).validate_json(body)


def now_us() -> int:
    return time.time_ns() // 1000


def handled(service: str, envelope: Envelope[Any], body: bytes) -> Generator[Statement, Any, list[Said]]:
    """The statements of one delivery. Returns what is to be published once they are committed."""
    event, now = envelope.data, now_us()
    key, digest = event.key, hashlib.blake2b(body, digest_size=16).digest()
    receipt = (envelope.id, envelope.source, digest, event.TYPE, event.SAGA, key, now)
    if not (yield "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1", receipt):
        return []
    answer, noted = yield from REACTIONS[service, event.TYPE](event, now)
    entry = (event.SAGA, key, event.TYPE, "done", json.dumps(noted), envelope.id, now, None, None, envelope.source)
    yield "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", entry
    if answer is None:
        return []
    said = _said(service, answer, envelope.id)
    row = (said.id, said.type, answer.SAGA, key, said.body, now)
    yield "INSERT INTO outbox (event_id, type, saga, key, body, decided_at) VALUES (?, ?, ?, ?, ?, ?)", row
    return [said]


def _said(service: str, event: Event, cause: str) -> Said:
    id_ = str(uuid.uuid4())
    envelope = wrap(event, id=id_, source=f"/services/{service}", time=datetime.now(UTC), causationid=cause)
    return Said(id_, event.TYPE, f"{service}.events", event.key, envelope.to_bytes())


def seed(service: str, catalogue: dict[str, Any]) -> Iterator[Statement]:
    """The statements that put the starting data into the database of a service."""
    if service == "stock":
        for name, count in catalogue["produits"].items():
            yield "INSERT INTO rayons VALUES (?, ?, ?, 0, 0) ON CONFLICT DO NOTHING", (name, count, count)
    elif service == "paiement":
        for name, sum_ in catalogue["comptes"].items():
            row = (name, _cents(sum_), _cents(sum_))
            yield "INSERT INTO comptes VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row


def _cents(amount: Any) -> int:
    return int(Decimal(amount) * 100)


def reserver(heard: CommandeInitiee, now: int) -> Answer:
    n = heard.quantite
    held = yield (
        "UPDATE rayons SET disponible = disponible - ?, retenu = retenu + ?"
        " WHERE produit_id = ? AND disponible >= ? RETURNING 1",
        (n, n, heard.produit_id, n),
    )
    if not held:
        raise RuntimeError("the benchmark orders only what there is")
    id_ = str(uuid.uuid4())
    row = (heard.commande_id, id_, heard.produit_id, n)
    yield "INSERT INTO reservations VALUES (?, ?, ?, ?, 'retenue')", row
    fields = heard.model_dump()
    return StockReserve(reservation_id=id_, **fields), {"reservation_id": id_, "quantite": n}


def vendre(heard: CommandeCreee, now: int) -> Answer:
    query = "SELECT produit_id, quantite FROM reservations WHERE commande_id = ?"
    produit_id, n = yield query, (heard.commande_id,)
    yield "UPDATE rayons SET retenu = retenu - ?, vendu = vendu + ? WHERE produit_id = ?", (n, n, produit_id)
    yield "UPDATE reservations SET etat = 'vendue' WHERE commande_id = ?", (heard.commande_id,)
    return None, {"quantite": n}


def encaisser(heard: StockReserve, now: int) -> Answer:
    montant = _cents(heard.montant)
    query = "UPDATE comptes SET solde = solde - ? WHERE client_id = ? AND solde >= ? RETURNING 1"
    if not (yield query, (montant, heard.client_id, montant)):
        raise RuntimeError("the clients of the benchmark can pay")
    id_ = str(uuid.uuid4())
    yield "INSERT INTO debits VALUES (?, ?, ?, ?, 'pris')", (heard.commande_id, id_, heard.client_id, montant)
    said = PaiementEffectue(commande_id=heard.commande_id, transaction_id=id_, montant=heard.montant)
    return said, {"transaction_id": id_, "montant": str(heard.montant)}


def noter(heard: CommandeInitiee, now: int) -> Answer:
    row = (heard.commande_id, heard.client_id, _cents(heard.montant), now + DAY_US)
    order = yield (
        "INSERT INTO commandes (commande_id, etat, client_id, montant, echeance) VALUES (?, 'en_attente', ?, ?, ?)"
        " ON CONFLICT (commande_id) DO UPDATE SET client_id = excluded.client_id, montant = excluded.montant,"
        " echeance = excluded.echeance RETURNING paye",
        row,
    )
    if order[0] is None:
        return None, {}
    return (yield from _creer(heard.commande_id))


def creer(heard: PaiementEffectue, now: int) -> Answer:
    row = (heard.commande_id, _cents(heard.montant))
    order = yield (
        "INSERT INTO commandes (commande_id, etat, paye) VALUES (?, 'en_attente', ?)"
        " ON CONFLICT (commande_id) DO UPDATE SET paye = excluded.paye RETURNING client_id",
        row,
    )
    if order[0] is None:
        return None, {}
    return (yield from _creer(heard.commande_id))


def _creer(commande_id: str) -> Answer:
    yield "UPDATE commandes SET etat = 'creee' WHERE commande_id = ?", (commande_id,)
    return CommandeCreee(commande_id=commande_id), {}


def confirmer(heard: CommandeCreee, now: int) -> Answer:
    address = f"{heard.commande_id}@clients.invalid"
    row = (f"notification:confirmer:{heard.commande_id}", heard.commande_id, "confirmation", address, now)
    yield "INSERT INTO envois VALUES (?, ?, ?, ?, ?)", row
    said = NotificationEnvoyee(commande_id=heard.commande_id, modele="confirmation", destinataire=address)
    return said, {"destinataire": address}


REACTIONS: dict[tuple[str, str], Callable[..., Answer]] = {
    ("stock", "commande.initiee"): reserver,
    ("stock", "commande.creee"): vendre,
    ("paiement", "stock.reserve"): encaisser,
    ("commande", "commande.initiee"): noter,
    ("commande", "paiement.effectue"): creer,
    ("notification", "commande.creee"): confirmer,
}
EVENTS: dict[str, type[Event]] = {
    cls.TYPE: cls for cls in (CommandeInitiee, StockReserve, PaiementEffectue, CommandeCreee, NotificationEnvoyee)
}


def hears(service: str) -> list[str]:
    """The event types that a service reacts to."""
    return [type_ for who, type_ in REACTIONS if who == service]
