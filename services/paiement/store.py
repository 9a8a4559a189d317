"""The tables of the payment service: accounts, and the debits from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, MetaData, Table, Text, func, select

from choregraphie import Key, Money, ReadView, Row
from contracts.commande import CommandeAnnulee
from contracts.commands import PaiementDebiter, PaiementRembourser
from contracts.stock import StockReserve

TABLES = MetaData()

# What the reactions hear: the events of the choreography, or the commands of the orchestrator.
Demand = StockReserve | PaiementDebiter
Cancellation = CommandeAnnulee | PaiementRembourser


@dataclass
class Compte(Row):
    """A client's account."""

    TABLE: ClassVar = Table(
        "comptes",
        TABLES,
        Column("client_id", Text, primary_key=True),
        Column("initial", Money, nullable=False),
        Column("solde", Money, nullable=False),
        CheckConstraint("solde >= 0", name="jamais_a_decouvert"),
    )

    client_id: str
    initial: Decimal
    solde: Decimal


@dataclass
class Debit(Row):
    """Money taken for an order. `etat` is `pris` or `rembourse`."""

    TABLE: ClassVar = Table(
        "debits",
        TABLES,
        Column("commande_id", Text, primary_key=True),
        Column("transaction_id", Text, nullable=False, unique=True),
        Column("client_id", Text, nullable=False),
        Column("montant", Money, nullable=False),
        Column("etat", Text, nullable=False),
    )

    commande_id: str
    transaction_id: str
    client_id: str
    montant: Decimal
    etat: str = "pris"


def debit(heard: Demand | Cancellation, view: ReadView) -> Iterable[Key]:
    return [Debit.at(heard.commande_id)]


def compte_demande(heard: Demand, view: ReadView) -> Iterable[Key]:
    return [Compte.at(heard.client_id)]


def compte_debite(heard: Cancellation, view: ReadView) -> Iterable[Key]:
    """The account that was debited, known once the debit is read."""
    pris = view.find(Debit, heard.commande_id)
    return [Compte.at(pris.client_id)] if pris else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [
        Compte(client_id, initial=Decimal(solde), solde=Decimal(solde))
        for client_id, solde in catalogue.get("comptes", {}).items()
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    comptes = connection.execute(select(Compte.TABLE).order_by(Compte.TABLE.c.client_id))
    return {
        "comptes": {row.client_id: {"initial": float(row.initial), "solde": float(row.solde)} for row in comptes},
        "mouvements": {
            "debits": _movements(connection, ("pris", "rembourse")),
            "remboursements": _movements(connection, ("rembourse",)),
        },
    }


def _movements(connection: Connection, etats: tuple[str, ...]) -> dict[str, Any]:
    table = Debit.TABLE
    query = select(func.count(), func.sum(table.c.montant, type_=Money)).where(table.c.etat.in_(etats))
    nombre, montant = connection.execute(query).one()
    return {"nombre": nombre, "montant": float(montant or 0)}
