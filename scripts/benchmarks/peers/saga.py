"""What all peers do alike: the reactions of the order saga, each delivery in one SQLite transaction of its own.

The transaction holds the inbox row, the business rows, the journal row and the outbox row, as ours does. The
events confirmed meanwhile are marked in it as well, which costs no commit of their own. Raw sqlite3 in the thread
of the loop is the fastest of what a peer may choose: an ORM, a thread or aiosqlite would cost it more.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
import tomllib
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

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
from scripts.benchmarks.peers.tables import BUSINESS, MACHINERY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_US = 86_400_000_000


class Said(NamedTuple):
    """An event to publish to `exchange`; its type is the routing key."""

    id: str
    type: str
    exchange: str
    key: str
    body: bytes


class Store:
    """The database of one service. Threads may share it: one transaction at a time."""

    def __init__(self, service: str, path: Path, catalogue: Path) -> None:
        self.service = service
        self._confirmed: list[str] = []
        self._lock = threading.Lock()
        # Transactions are begun and committed here, not by the driver.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(MACHINERY + BUSINESS[service])
        self._seed(tomllib.loads(catalogue.read_text()))

    def read(self, type_: str, body: bytes) -> Envelope[Any]:
        """Parse and validate a body of that event type."""
        return adapter(EVENTS[type_]).validate_json(body)

    def handle(self, envelope: Envelope[Any], body: bytes) -> list[Said]:
        """Carry out one delivery in a transaction. Returns what is to be published now."""
        now = time.time_ns() // 1000
        execute = self._connection.execute
        with self._lock:
            confirmed = self._confirmed[:]
            execute("BEGIN IMMEDIATE")
            try:
                said = self._react(envelope, body, envelope.data, now)
                if confirmed:
                    marks = [(now, event_id) for event_id in confirmed]
                    self._connection.executemany("UPDATE outbox SET said_at = ? WHERE event_id = ?", marks)
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
            del self._confirmed[: len(confirmed)]
            return said

    def confirmed(self, event_id: str) -> None:
        """The broker has confirmed the event: the next transaction marks it."""
        self._confirmed.append(event_id)

    def _react(self, envelope: Envelope[Any], body: bytes, event: Event, now: int) -> list[Said]:
        execute, key = self._connection.execute, event.key
        digest = hashlib.blake2b(body, digest_size=16).digest()
        receipt = (envelope.id, envelope.source, digest, event.TYPE, event.SAGA, key, now)
        if not execute("INSERT OR IGNORE INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?)", receipt).rowcount:
            return []
        answer, noted = REACTIONS[self.service, event.TYPE](execute, event, now)
        entry = (
            event.SAGA,
            key,
            event.TYPE,
            "done",
            json.dumps(noted),
            envelope.id,
            now,
            None,
            None,
            envelope.source,
        )
        execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", entry)
        if answer is None:
            return []
        said = self._said(answer, envelope.id)
        row = (said.id, said.type, answer.SAGA, key, said.body, now)
        execute("INSERT INTO outbox (event_id, type, saga, key, body, decided_at) VALUES (?, ?, ?, ?, ?, ?)", row)
        return [said]

    def _said(self, event: Event, cause: str) -> Said:
        id_ = str(uuid.uuid4())
        source = f"/services/{self.service}"
        envelope = wrap(event, id=id_, source=source, time=datetime.now(UTC), causationid=cause)
        return Said(id_, event.TYPE, f"{self.service}.events", event.key, envelope.to_bytes())

    def _seed(self, catalogue: dict[str, Any]) -> None:
        many = self._connection.executemany
        self._connection.execute("BEGIN")
        if self.service == "stock":
            shelves = [(name, count, count) for name, count in catalogue["produits"].items()]
            many("INSERT OR IGNORE INTO rayons VALUES (?, ?, ?, 0, 0)", shelves)
        elif self.service == "paiement":
            accounts = [(name, _cents(sum_), _cents(sum_)) for name, sum_ in catalogue["comptes"].items()]
            many("INSERT OR IGNORE INTO comptes VALUES (?, ?, ?)", accounts)
        self._connection.execute("COMMIT")


def _cents(amount: Any) -> int:
    return int(Decimal(amount) * 100)


# A reaction returns what is to be said, or None, and what the journal notes.
Answer = tuple[Event | None, dict[str, Any]]


def reserver(execute: Callable[..., sqlite3.Cursor], heard: CommandeInitiee, now: int) -> Answer:
    n = heard.quantite
    held = execute(
        "UPDATE rayons SET disponible = disponible - ?, retenu = retenu + ?"
        " WHERE produit_id = ? AND disponible >= ?",
        (n, n, heard.produit_id, n),
    )
    if not held.rowcount:
        raise RuntimeError("the benchmark orders only what there is")
    id_ = str(uuid.uuid4())
    row = (heard.commande_id, id_, heard.produit_id, n)
    execute("INSERT INTO reservations VALUES (?, ?, ?, ?, 'retenue')", row)
    fields = heard.model_dump()
    return StockReserve(reservation_id=id_, **fields), {"reservation_id": id_, "quantite": n}


def vendre(execute: Callable[..., sqlite3.Cursor], heard: CommandeCreee, now: int) -> Answer:
    query = "SELECT produit_id, quantite FROM reservations WHERE commande_id = ?"
    produit_id, n = execute(query, (heard.commande_id,)).fetchone()
    execute("UPDATE rayons SET retenu = retenu - ?, vendu = vendu + ? WHERE produit_id = ?", (n, n, produit_id))
    execute("UPDATE reservations SET etat = 'vendue' WHERE commande_id = ?", (heard.commande_id,))
    return None, {"quantite": n}


def encaisser(execute: Callable[..., sqlite3.Cursor], heard: StockReserve, now: int) -> Answer:
    montant = _cents(heard.montant)
    query = "UPDATE comptes SET solde = solde - ? WHERE client_id = ? AND solde >= ?"
    if not execute(query, (montant, heard.client_id, montant)).rowcount:
        raise RuntimeError("the clients of the benchmark can pay")
    id_ = str(uuid.uuid4())
    execute("INSERT INTO debits VALUES (?, ?, ?, ?, 'pris')", (heard.commande_id, id_, heard.client_id, montant))
    said = PaiementEffectue(commande_id=heard.commande_id, transaction_id=id_, montant=heard.montant)
    return said, {"transaction_id": id_, "montant": str(heard.montant)}


def noter(execute: Callable[..., sqlite3.Cursor], heard: CommandeInitiee, now: int) -> Answer:
    row = (heard.commande_id, heard.client_id, _cents(heard.montant), now + DAY_US)
    order = execute(
        "INSERT INTO commandes (commande_id, etat, client_id, montant, echeance) VALUES (?, 'en_attente', ?, ?, ?)"
        " ON CONFLICT (commande_id) DO UPDATE SET client_id = excluded.client_id, montant = excluded.montant,"
        " echeance = excluded.echeance RETURNING paye",
        row,
    ).fetchone()
    return _creer(execute, heard.commande_id) if order[0] is not None else (None, {})


def creer(execute: Callable[..., sqlite3.Cursor], heard: PaiementEffectue, now: int) -> Answer:
    row = (heard.commande_id, _cents(heard.montant))
    order = execute(
        "INSERT INTO commandes (commande_id, etat, paye) VALUES (?, 'en_attente', ?)"
        " ON CONFLICT (commande_id) DO UPDATE SET paye = excluded.paye RETURNING client_id",
        row,
    ).fetchone()
    return _creer(execute, heard.commande_id) if order[0] is not None else (None, {})


def _creer(execute: Callable[..., sqlite3.Cursor], commande_id: str) -> Answer:
    execute("UPDATE commandes SET etat = 'creee' WHERE commande_id = ?", (commande_id,))
    return CommandeCreee(commande_id=commande_id), {}


def confirmer(execute: Callable[..., sqlite3.Cursor], heard: CommandeCreee, now: int) -> Answer:
    address = f"{heard.commande_id}@clients.invalid"
    row = (f"notification:confirmer:{heard.commande_id}", heard.commande_id, "confirmation", address, now)
    execute("INSERT INTO envois VALUES (?, ?, ?, ?, ?)", row)
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
