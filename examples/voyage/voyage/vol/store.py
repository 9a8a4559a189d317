"""The tables of the flight service: flights, and the bookings on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, Text, select

from choregraphie import Key, Money, ReadView, Row
from voyage.events import VoyageAnnule, VoyageDemande

TABLES = MetaData()


@dataclass
class Vol(Row):
    """A flight; `prix` and `frais` are for one seat."""

    TABLE: ClassVar = Table(
        "vols",
        TABLES,
        Column("vol_id", Text, primary_key=True),
        Column("places", Integer, nullable=False),
        Column("prises", Integer, nullable=False),
        Column("prix", Money, nullable=False),
        Column("frais", Money, nullable=False),
        CheckConstraint("prises BETWEEN 0 AND places", name="jamais_trop"),
    )

    vol_id: str
    places: int
    prises: int
    prix: Decimal
    frais: Decimal


@dataclass
class Billet(Row):
    """The seats of a voyage. `etat` is `reserve` or `annule`; `retenu` is the fee that was kept."""

    TABLE: ClassVar = Table(
        "billets",
        TABLES,
        Column("voyage_id", Text, primary_key=True),
        Column("reservation_id", Text, nullable=False, unique=True),
        Column("vol_id", Text, nullable=False),
        Column("voyageurs", Integer, nullable=False),
        Column("prix", Money, nullable=False),
        Column("frais", Money, nullable=False),
        Column("retenu", Money, nullable=False),
        Column("etat", Text, nullable=False),
    )

    voyage_id: str
    reservation_id: str
    vol_id: str
    voyageurs: int
    prix: Decimal
    frais: Decimal
    retenu: Decimal = Decimal(0)
    etat: str = "reserve"


def vol_demande(heard: VoyageDemande, view: ReadView) -> Iterable[Key]:
    return [Vol.at(heard.vol_id)]


def billet(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    return [Billet.at(heard.voyage_id)]


def vol_du_billet(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    """The flight that was booked, known once the booking is read."""
    pris = view.find(Billet, heard.voyage_id)
    return [Vol.at(pris.vol_id)] if pris else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [
        Vol(vol_id, vol["places"], 0, Decimal(vol["prix"]), Decimal(vol["frais"]))
        for vol_id, vol in catalogue.get("vols", {}).items()
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    vols = connection.execute(select(Vol.TABLE).order_by(Vol.TABLE.c.vol_id))
    return {"vols": {row.vol_id: {"places": row.places, "prises": row.prises} for row in vols}}
