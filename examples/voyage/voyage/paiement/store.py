"""The tables of the payment service: cards, and the payments with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, MetaData, Table, Text, select

from choregraphie import Key, Money, ReadView, Row
from voyage.events import HotelReserve, VoitureReservee, VolReserve, VoyageAnnule

TABLES = MetaData()
Reserve = tuple[VolReserve, HotelReserve, VoitureReservee]


@dataclass
class Carte(Row):
    """A client's card. `debite` is the sum of what was taken and not given back."""

    TABLE: ClassVar = Table(
        "cartes",
        TABLES,
        Column("client_id", Text, primary_key=True),
        Column("plafond", Money, nullable=False),
        Column("debite", Money, nullable=False),
        CheckConstraint("debite BETWEEN 0 AND plafond", name="jamais_trop"),
    )

    client_id: str
    plafond: Decimal
    debite: Decimal = Decimal(0)


@dataclass
class Paiement(Row):
    """What was taken for a voyage. `frais` is the airline's fee, `rembourse` what was given back.

    `etat` is `debite` or `rembourse`.
    """

    TABLE: ClassVar = Table(
        "paiements",
        TABLES,
        Column("voyage_id", Text, primary_key=True),
        Column("transaction_id", Text, nullable=False, unique=True),
        Column("client_id", Text, nullable=False),
        Column("montant", Money, nullable=False),
        Column("frais", Money, nullable=False),
        Column("rembourse", Money, nullable=False),
        Column("etat", Text, nullable=False),
    )

    voyage_id: str
    transaction_id: str
    client_id: str
    montant: Decimal
    frais: Decimal
    rembourse: Decimal = Decimal(0)
    etat: str = "debite"


def carte(heard: Reserve, view: ReadView) -> Iterable[Key]:
    return [Carte.at(heard[0].client_id)]


def paiement(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    return [Paiement.at(heard.voyage_id)]


def carte_debitee(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    """The card that was debited, known once the payment is read."""
    fait = view.find(Paiement, heard.voyage_id)
    return [Carte.at(fait.client_id)] if fait else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [Carte(client_id, Decimal(plafond)) for client_id, plafond in catalogue.get("cartes", {}).items()]


def inspect(connection: Connection) -> dict[str, Any]:
    cartes = connection.execute(select(Carte.TABLE).order_by(Carte.TABLE.c.client_id))
    return {"cartes": {c.client_id: {"plafond": float(c.plafond), "debite": float(c.debite)} for c in cartes}}
