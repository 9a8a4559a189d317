"""The content of the services' databases, read at the end with plain SQL rather than the project's own code."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from scripts.nemesis.history import EventFields, named, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class OutboxRow:
    """A row of an outbox. `identity`: see `EventFields`."""

    identity: str
    type: str
    commande_id: str
    body: bytes
    published: bool = True

    @cached_property
    def fields(self) -> EventFields:
        return read(self.body)


@dataclass(frozen=True)
class ServiceTables:
    """The engine's tables of one service. `journal`: (order, action) → state."""

    inbox: Mapping[str, str] = field(default_factory=dict)  # identity of the event → order
    outbox: tuple[OutboxRow, ...] = ()
    journal: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rayon:
    initial: int
    disponible: int
    retenu: int
    vendu: int


@dataclass(frozen=True)
class Reservation:
    commande_id: str
    produit_id: str
    quantite: int
    etat: str


@dataclass(frozen=True)
class Compte:
    initial: Decimal
    solde: Decimal


@dataclass(frozen=True)
class Debit:
    commande_id: str
    client_id: str
    montant: Decimal
    etat: str


@dataclass(frozen=True)
class Commande:
    etat: str
    montant: Decimal | None


@dataclass(frozen=True)
class Envoi:
    commande_id: str
    modele: str


@dataclass(frozen=True)
class Instance:
    """The orchestrator's row of an order. `review`: it waits for a person."""

    state: str
    review: bool = False


@dataclass(frozen=True)
class Databases:
    """The content of the databases. `instances`: empty in a choreography."""

    services: Mapping[str, ServiceTables] = field(default_factory=dict)
    rayons: Mapping[str, Rayon] = field(default_factory=dict)
    reservations: tuple[Reservation, ...] = ()
    comptes: Mapping[str, Compte] = field(default_factory=dict)
    debits: tuple[Debit, ...] = ()
    commandes: Mapping[str, Commande] = field(default_factory=dict)
    envois: tuple[Envoi, ...] = ()
    instances: Mapping[str, Instance] = field(default_factory=dict)

    def of(self, service: str) -> ServiceTables:
        return self.services.get(service, ServiceTables())


def read_databases(database_url: str, services: Sequence[str]) -> Databases:
    """Read the databases that `database_url` names (`{service}` is replaced)."""
    tables: dict[str, ServiceTables] = {}
    business: dict[str, Any] = {}
    for service in services:
        url = sa.make_url(database_url.replace("{service}", service))
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, connect_args={"timeout": 30} if "sqlite" in url.drivername else {})
        try:
            # One transaction per database: everything read of it is of one instant.
            with engine.connect().execution_options(**_snapshot(url.drivername)) as connection:
                tables[service] = _tables(connection)
                business |= _BUSINESS[service](connection)
        finally:
            engine.dispose()
    return Databases(tables, **business)


def _snapshot(driver: str) -> dict[str, str]:
    return {} if "sqlite" in driver else {"isolation_level": "REPEATABLE READ"}


def _rows(connection: sa.Connection, query: str) -> list[Any]:
    return list(connection.execute(sa.text(query)))


def _tables(connection: sa.Connection) -> ServiceTables:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    handled = _rows(connection, "SELECT event_id, source, key AS commande_id FROM inbox")
    inbox = {named(row.event_id, row.source) or "": row.commande_id for row in handled}
    outbox = _rows(
        connection, "SELECT event_id, type, key AS commande_id, body, said_at FROM outbox ORDER BY number"
    )
    journal = _rows(connection, "SELECT key AS commande_id, action, state FROM journal")
    return ServiceTables(
        inbox,
        tuple(
            OutboxRow(_named(row), row.type, row.commande_id, bytes(row.body), row.said_at is not None)
            for row in outbox
        ),
        {(row.commande_id, row.action): row.state for row in journal},
    )


def _named(row: Any) -> str:
    return read(bytes(row.body)).identity or str(row.event_id)


def _stock(connection: sa.Connection) -> dict[str, Any]:
    rayons = _rows(connection, "SELECT produit_id, initial, disponible, retenu, vendu FROM rayons")
    reservations = _rows(connection, "SELECT commande_id, produit_id, quantite, etat FROM reservations")
    return {
        "rayons": {row[0]: Rayon(*row[1:]) for row in rayons},
        "reservations": tuple(Reservation(*row) for row in reservations),
    }


def _paiement(connection: sa.Connection) -> dict[str, Any]:
    comptes = _rows(connection, "SELECT client_id, initial, solde FROM comptes")
    debits = _rows(connection, "SELECT commande_id, client_id, montant, etat FROM debits")
    return {
        "comptes": {row[0]: Compte(_euros(row[1]), _euros(row[2])) for row in comptes},
        "debits": tuple(Debit(row[0], row[1], _euros(row[2]), row[3]) for row in debits),
    }


def _commande(connection: sa.Connection) -> dict[str, Any]:
    rows = _rows(connection, "SELECT commande_id, etat, montant FROM commandes")
    return {"commandes": {row[0]: Commande(row[1], None if row[2] is None else _euros(row[2])) for row in rows}}


def _notification(connection: sa.Connection) -> dict[str, Any]:
    rows = _rows(connection, "SELECT commande_id, modele FROM envois")
    return {"envois": tuple(Envoi(*row) for row in rows)}


def _orchestrateur(connection: sa.Connection) -> dict[str, Any]:
    rows = _rows(connection, "SELECT commande_id, state, review FROM orchestrateur_instances")
    return {"instances": {row[0]: Instance(row[1], bool(row[2])) for row in rows}}


def _euros(cents: int) -> Decimal:
    """Amounts are stored in cents."""
    return Decimal(cents).scaleb(-2)


_BUSINESS = {
    "stock": _stock,
    "paiement": _paiement,
    "commande": _commande,
    "notification": _notification,
    "orchestrateur": _orchestrateur,
}
