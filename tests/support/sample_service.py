"""A service for tests of the engine: it counts, and it fails when an order asks it to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, select

from choregraphie import Key, ReadView, RetryOverride, Row, Service, Transaction, on
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve

TABLES = MetaData()


class Failure(Exception):
    """A reaction raises it when it breaks."""


class PermanentFailure(Failure):
    """A failure that no retry mends."""


@dataclass
class Compteur(Row):
    TABLE: ClassVar = Table(
        "compteurs", TABLES, Column("nom", Text, primary_key=True), Column("valeur", Integer, nullable=False)
    )

    nom: str
    valeur: int = 0


@dataclass
class Trace(Row):
    TABLE: ClassVar = Table(
        "traces", TABLES, Column("commande_id", Text, primary_key=True), Column("nom", Text, nullable=False)
    )

    commande_id: str
    nom: str


def compteur(heard: CommandeInitiee, view: ReadView) -> Iterable[Key]:
    return [Compteur.at(heard.produit_id)]


def trace(heard: CommandeInitiee | CommandeAnnulee, view: ReadView) -> Iterable[Key]:
    return [Trace.at(heard.commande_id)]


def compteur_de_trace(heard: CommandeAnnulee, view: ReadView) -> Iterable[Key]:
    found = view.find(Trace, heard.commande_id)
    return [Compteur.at(found.nom)] if found else []


def compter(heard: CommandeInitiee, tx: Transaction) -> Iterator[StockReserve | StockReservationEchouee]:
    found = tx.find(Compteur, heard.produit_id)
    assert found is not None
    found.valeur += heard.quantite
    tx.add(Trace(heard.commande_id, heard.produit_id))
    tx.note(quantite=heard.quantite)
    if heard.client_id == "PANNE":
        raise Failure("broken, says secret-4711")
    if heard.client_id == "SANS-ESPOIR":
        raise PermanentFailure("for good")
    if heard.client_id == "AILLEURS":
        tx.find(Compteur, "not read")
    yield StockReserve(
        commande_id=heard.commande_id,
        reservation_id=tx.new_id("r"),
        client_id=heard.client_id,
        produit_id=heard.produit_id,
        quantite=heard.quantite,
        montant=heard.montant,
    )


def decompter(heard: CommandeAnnulee, tx: Transaction) -> Iterator[StockLibere]:
    fait = tx.undo(compter)
    found = tx.find(Trace, heard.commande_id)
    if heard.raison == "panne":
        raise Failure("broken")
    if heard.raison == "silence":
        return
    if fait and found:
        total = tx.find(Compteur, found.nom)
        assert total is not None
        total.valeur -= fait["quantite"]
    yield StockLibere(commande_id=heard.commande_id, reservation_id=None)


def inspect(connection: Connection) -> dict[str, Any]:
    return {row.nom: row.valeur for row in connection.execute(select(Compteur.TABLE))}


SAMPLE_SERVICE = Service(
    "stock",
    (
        on(
            CommandeInitiee,
            compter,
            reads=(compteur, trace),
            gives_up=StockReservationEchouee,
            retry=RetryOverride(never=(PermanentFailure,)),
        ),
        on(CommandeAnnulee, decompter, reads=(trace, compteur_de_trace), undoes=compter),
    ),
    tables=TABLES,
    inspect=inspect,
    seed=lambda _: [Compteur("A"), Compteur("B")],
)
