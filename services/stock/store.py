"""The tables of the stock service: shelves, and the reservations from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, Text, select

from choregraphie import Key, ReadView, Row
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.commands import StockLiberer, StockReserver, StockVendre

TABLES = MetaData()

# What the reactions hear: the events of the choreography, or the commands of the orchestrator.
Order = CommandeInitiee | StockReserver
Decision = CommandeCreee | CommandeAnnulee | StockVendre | StockLiberer


@dataclass
class Rayon(Row):
    """A shelf, of which initial = disponible + retenu + vendu always holds."""

    TABLE: ClassVar = Table(
        "rayons",
        TABLES,
        Column("produit_id", Text, primary_key=True),
        Column("initial", Integer, nullable=False),
        Column("disponible", Integer, nullable=False),
        Column("retenu", Integer, nullable=False),
        Column("vendu", Integer, nullable=False),
        CheckConstraint("disponible >= 0 AND retenu >= 0 AND vendu >= 0", name="jamais_negatif"),
        CheckConstraint("initial = disponible + retenu + vendu", name="rien_ne_se_perd"),
    )

    produit_id: str
    initial: int
    disponible: int
    retenu: int = 0
    vendu: int = 0

    def retenir(self, quantite: int) -> None:
        self.disponible -= quantite
        self.retenu += quantite

    def vendre(self, quantite: int) -> None:
        self.retenu -= quantite
        self.vendu += quantite

    def reprendre(self, quantite: int, *, vendue: bool) -> None:
        if vendue:
            self.vendu -= quantite
        else:
            self.retenu -= quantite
        self.disponible += quantite


@dataclass
class Reservation(Row):
    """What is held for an order, or sold to it. `etat` is `retenue`, `vendue` or `liberee`."""

    TABLE: ClassVar = Table(
        "reservations",
        TABLES,
        Column("commande_id", Text, primary_key=True),
        Column("reservation_id", Text, nullable=False, unique=True),
        Column("produit_id", Text, nullable=False),
        Column("quantite", Integer, nullable=False),
        Column("etat", Text, nullable=False),
    )

    commande_id: str
    reservation_id: str
    produit_id: str
    quantite: int
    etat: str = "retenue"


def reservation(heard: Order | Decision, view: ReadView) -> Iterable[Key]:
    return [Reservation.at(heard.commande_id)]


def rayon_demande(heard: Order, view: ReadView) -> Iterable[Key]:
    return [Rayon.at(heard.produit_id)]


def rayon_reserve(heard: Decision, view: ReadView) -> Iterable[Key]:
    """The shelf of the reservation, known once the reservation is read."""
    tenue = view.find(Reservation, heard.commande_id)
    return [Rayon.at(tenue.produit_id)] if tenue else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [
        Rayon(produit_id, initial=index(quantite), disponible=index(quantite))
        for produit_id, quantite in catalogue.get("produits", {}).items()
    ]


def inspect(connection: Connection) -> dict[str, Any]:
    rayons = connection.execute(select(Rayon.TABLE).order_by(Rayon.TABLE.c.produit_id))
    counts = ("initial", "disponible", "retenu", "vendu")
    return {"produits": {row.produit_id: {name: getattr(row, name) for name in counts} for row in rayons}}
