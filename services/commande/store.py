"""The tables of the order service: orders with their state, and clients who are blocked or have a ceiling."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    MetaData,
    Table,
    Text,
    event,
    func,
    select,
    text,
    update,
)

from choregraphie import NOW, Instant, Key, Money, ReadView, Row
from choregraphie.saga.envelope import Instance
from contracts.client import CommandeInitiee
from contracts.commands import CommandeCreer, OrderCommand
from contracts.order import OrderEvent

TABLES = MetaData()

# An order that another event mentioned before the order itself came.
INCONNUE = "inconnue"
EN_ATTENTE = "en_attente"
CREEE = "creee"
ANNULEE = "annulee"


@dataclass
class Commande(Row):
    """An order. While it is INCONNUE, `paye` and `raison` keep what came too early.

    echeance          when it is cancelled unless it is decided before
    cause             the id of the event that started this deadline
    echeance_demande  until when a demand to cancel waits for the order, when nothing else has mentioned it
    """

    TABLE: ClassVar = Table(
        "commandes",
        TABLES,
        Column("commande_id", Text, primary_key=True),
        Column("etat", Text, nullable=False),
        Column("client_id", Text),
        Column("montant", Money),
        Column("paye", Money),
        Column("raison", Text),
        Column("echeance", Instant),
        Column("cause", Text),
        Column("echeance_demande", Instant),
        Index("commandes_echeance", "etat", "echeance"),
    )

    commande_id: str
    etat: str
    client_id: str | None = None
    montant: Decimal | None = None
    paye: Decimal | None = None
    raison: str | None = None
    echeance: dt.datetime | None = None
    cause: str | None = None
    echeance_demande: dt.datetime | None = None

    def passer(self, de: tuple[str, ...], a: str) -> bool:
        """Compare and set: go to state `a` if the state is one of `de`. Returns whether it did.

        The row is locked from its reading on, so of two decisions that race exactly one finds the state it needs.
        """
        if self.etat not in de:
            return False
        self.etat = a
        return True


_INDEX_OF_DEMANDS = (
    "CREATE INDEX commandes_echeance_demande ON commandes (echeance_demande) WHERE echeance_demande IS NOT NULL"
)


@event.listens_for(Commande.TABLE, "after_create")
def _index_demands(table: Table, connection: Connection, **_: object) -> None:
    # Partial: only few rows at a time have a value. As text: for an Index with a condition for PostgreSQL,
    # SQLAlchemy imports that dialect, also on SQLite, which takes a tenth of every start.
    connection.exec_driver_sql(_INDEX_OF_DEMANDS)


@dataclass
class Client(Row):
    """A client who is blocked or has a ceiling. `encours` is the sum of its orders created and not cancelled."""

    TABLE: ClassVar = Table(
        "clients",
        TABLES,
        Column("client_id", Text, primary_key=True),
        Column("bloque", Boolean, nullable=False),
        Column("plafond", Money),
        Column("encours", Money, nullable=False),
    )

    client_id: str
    bloque: bool = False
    plafond: Decimal | None = None
    encours: Decimal = Decimal(0)


def note_what_was_paid(connection: Connection) -> None:
    """Version 2: `paye` holds the amount paid, where `payee` was a mark.

    Of an order not recorded yet, the amount is no longer known: it is cancelled at its deadline, and refunded.
    """
    connection.exec_driver_sql("ALTER TABLE commandes ADD COLUMN paye BIGINT")
    table = Commande.TABLE
    connection.execute(update(table).where(text("payee")).values(paye=table.c.montant))
    connection.exec_driver_sql("ALTER TABLE commandes DROP COLUMN payee")


def end_what_never_came(connection: Connection) -> None:
    """Version 3: an order that only another service has mentioned gets a deadline, 900 s after the first mention.

    The journal holds its time and its event.
    """
    connection.exec_driver_sql(
        """
        WITH spoken AS (
            SELECT key AS commande_id, cause, at, row_number() OVER (PARTITION BY key ORDER BY at, action) AS nth
            FROM journal WHERE action IN ('creer', 'refuser', 'refuser_paiement')
        ), first_word AS (SELECT commande_id, cause, at FROM spoken WHERE nth = 1)
        UPDATE commandes SET
            echeance = (SELECT f.at + 900000000 FROM first_word f WHERE f.commande_id = commandes.commande_id),
            cause = (SELECT f.cause FROM first_word f WHERE f.commande_id = commandes.commande_id)
        WHERE etat = 'inconnue'
        """
    )


def end_what_was_never_ordered(connection: Connection) -> None:
    """Version 4: a demand to cancel an order that never came waits for it until 900 s after the demand."""
    connection.exec_driver_sql("ALTER TABLE commandes ADD COLUMN echeance_demande BIGINT")
    connection.exec_driver_sql(_INDEX_OF_DEMANDS)
    connection.exec_driver_sql(
        """
        UPDATE commandes SET echeance_demande = (
            SELECT j.at + 900000000 FROM journal j
            WHERE j.key = commandes.commande_id AND j.action = 'annuler'
        )
        WHERE etat = 'inconnue' AND echeance IS NULL
        """
    )


MIGRATIONS = (note_what_was_paid, end_what_never_came, end_what_was_never_ordered)


def commande(heard: OrderEvent | OrderCommand, view: ReadView) -> Iterable[Key]:
    return [Commande.at(heard.commande_id)]


def client(heard: OrderEvent | OrderCommand, view: ReadView) -> Iterable[Key]:
    """The client of the order, named by the event or known once the order is read."""
    if isinstance(heard, CommandeInitiee | CommandeCreer):
        return [Client.at(heard.client_id)]
    connue = view.find(Commande, heard.commande_id)
    return [Client.at(connue.client_id)] if connue and connue.client_id else []


ECHUES = (
    select(Commande.TABLE.c.commande_id)
    .where(Commande.TABLE.c.etat.in_((INCONNUE, EN_ATTENTE)), Commande.TABLE.c.echeance <= NOW)
    .order_by(Commande.TABLE.c.echeance)
)


# Orders that only demands to cancel have mentioned, and that cannot come any more.
JAMAIS_COMMANDEES = (
    select(Commande.TABLE.c.commande_id)
    .where(Commande.TABLE.c.etat == INCONNUE, Commande.TABLE.c.echeance_demande < NOW)
    .order_by(Commande.TABLE.c.echeance_demande)
)


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    """`[clients]`: `bloques` is a list of clients, `plafonds` a table of amounts by client."""
    known = catalogue.get("clients", {})
    bloques, plafonds = known.get("bloques", []), known.get("plafonds", {})
    if not isinstance(bloques, list):
        raise TypeError("clients.bloques is a list of clients")
    return [
        Client(client_id, client_id in bloques, Decimal(plafonds[client_id]) if client_id in plafonds else None)
        for client_id in sorted({*bloques, *plafonds})
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    etat = Commande.TABLE.c.etat
    counts = connection.execute(select(etat, func.count()).group_by(etat))
    found: dict[str, int] = dict(counts.all())
    counted = {
        "en_attente": found.get(EN_ATTENTE, 0),
        "creees": found.get(CREEE, 0),
        "annulees": found.get(ANNULEE, 0),
    }
    return {"commandes": {"total": sum(counted.values()), **counted, "inconnues": found.get(INCONNUE, 0)}}


def annulees(connection: Connection) -> Iterable[Instance]:
    """Every order ever cancelled."""
    table = Commande.TABLE
    query = select(table.c.commande_id).where(table.c.etat == ANNULEE).order_by(table.c.commande_id)
    return (Instance(CommandeInitiee.SAGA, key) for key in connection.scalars(query))
