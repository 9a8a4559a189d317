"""The tables of the hotel service: hotels, and the stays in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, Text, select

from choregraphie import Key, Money, ReadView, Row
from voyage.events import VoyageAnnule, VoyageDemande

TABLES = MetaData()


@dataclass
class Hotel(Row):
    """A hotel; `prix` is for one night."""

    TABLE: ClassVar = Table(
        "hotels",
        TABLES,
        Column("hotel_id", Text, primary_key=True),
        Column("chambres", Integer, nullable=False),
        Column("prises", Integer, nullable=False),
        Column("prix", Money, nullable=False),
        CheckConstraint("prises BETWEEN 0 AND chambres", name="jamais_trop"),
    )

    hotel_id: str
    chambres: int
    prises: int
    prix: Decimal

    @property
    def libres(self) -> int:
        return self.chambres - self.prises


@dataclass
class Sejour(Row):
    """The room of a voyage. `etat` is `reserve` or `annule`."""

    TABLE: ClassVar = Table(
        "sejours",
        TABLES,
        Column("voyage_id", Text, primary_key=True),
        Column("reservation_id", Text, nullable=False, unique=True),
        Column("hotel_id", Text, nullable=False),
        Column("nuits", Integer, nullable=False),
        Column("etat", Text, nullable=False),
    )

    voyage_id: str
    reservation_id: str
    hotel_id: str
    nuits: int
    etat: str = "reserve"


def hotel_demande(heard: VoyageDemande, view: ReadView) -> Iterable[Key]:
    return [Hotel.at(heard.hotel_id)]


def sejour(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    return [Sejour.at(heard.voyage_id)]


def hotel_du_sejour(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    """The hotel that was booked, known once the stay is read."""
    pris = view.find(Sejour, heard.voyage_id)
    return [Hotel.at(pris.hotel_id)] if pris else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [
        Hotel(hotel_id, hotel["chambres"], 0, Decimal(hotel["prix"]))
        for hotel_id, hotel in catalogue.get("hotels", {}).items()
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    hotels = connection.execute(select(Hotel.TABLE).order_by(Hotel.TABLE.c.hotel_id))
    return {"hotels": {row.hotel_id: {"chambres": row.chambres, "prises": row.prises} for row in hotels}}
