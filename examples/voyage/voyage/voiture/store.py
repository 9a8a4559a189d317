"""The tables of the car rental: categories of cars, and the rentals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, Text, select

from choregraphie import Key, Money, ReadView, Row
from voyage.events import VoyageAnnule, VoyageDemande

TABLES = MetaData()


@dataclass
class Categorie(Row):
    """A category of cars; `prix` is for one day."""

    TABLE: ClassVar = Table(
        "categories",
        TABLES,
        Column("voiture_id", Text, primary_key=True),
        Column("voitures", Integer, nullable=False),
        Column("louees", Integer, nullable=False),
        Column("prix", Money, nullable=False),
        CheckConstraint("louees BETWEEN 0 AND voitures", name="jamais_trop"),
    )

    voiture_id: str
    voitures: int
    louees: int
    prix: Decimal

    @property
    def libres(self) -> int:
        return self.voitures - self.louees


@dataclass
class Location(Row):
    """The car of a voyage. `etat` is `reserve` or `annule`."""

    TABLE: ClassVar = Table(
        "locations",
        TABLES,
        Column("voyage_id", Text, primary_key=True),
        Column("reservation_id", Text, nullable=False, unique=True),
        Column("voiture_id", Text, nullable=False),
        Column("jours", Integer, nullable=False),
        Column("etat", Text, nullable=False),
    )

    voyage_id: str
    reservation_id: str
    voiture_id: str
    jours: int
    etat: str = "reserve"


def categorie_demandee(heard: VoyageDemande, view: ReadView) -> Iterable[Key]:
    return [Categorie.at(heard.voiture_id)]


def location(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    return [Location.at(heard.voyage_id)]


def categorie_de_la_location(heard: VoyageAnnule, view: ReadView) -> Iterable[Key]:
    """The category that was booked, known once the rental is read."""
    pris = view.find(Location, heard.voyage_id)
    return [Categorie.at(pris.voiture_id)] if pris else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [
        Categorie(voiture_id, categorie["voitures"], 0, Decimal(categorie["prix"]))
        for voiture_id, categorie in catalogue.get("voitures", {}).items()
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    categories = connection.execute(select(Categorie.TABLE).order_by(Categorie.TABLE.c.voiture_id))
    return {"categories": {row.voiture_id: {"voitures": row.voitures, "louees": row.louees} for row in categories}}
