"""The reactions of the stock service: hold goods, sell them, put them back."""

from collections.abc import Iterator
from typing import Never

from choregraphie import Transaction, on
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.commands import StockLiberer, StockReserver, StockVendre
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve
from services.stock import rules, store
from services.stock.store import Rayon, Reservation


def reserver(
    heard: CommandeInitiee | StockReserver, tx: Transaction
) -> Iterator[StockReserve | StockReservationEchouee]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    rayon = tx.find(Rayon, heard.produit_id)
    manque = rules.manque(heard.quantite, rayon.disponible if rayon else None)
    if manque or rayon is None:
        yield StockReservationEchouee(commande_id=heard.commande_id, raison=manque or "")
        return
    reservation = Reservation(heard.commande_id, tx.new_id("reservation"), heard.produit_id, heard.quantite)
    rayon.retenir(heard.quantite)
    tx.add(reservation)
    tx.note(reservation_id=reservation.reservation_id, produit_id=heard.produit_id, quantite=heard.quantite)
    yield StockReserve(
        commande_id=heard.commande_id,
        reservation_id=reservation.reservation_id,
        client_id=heard.client_id,
        produit_id=heard.produit_id,
        quantite=heard.quantite,
        montant=heard.montant,
    )


def vendre(heard: CommandeCreee | StockVendre, tx: Transaction) -> Iterator[Never]:
    # An order is created only after its goods were held here, so the reservation exists. When a cancellation has
    # already put the goods back, its tombstone prevents this reaction.
    reservation = tx.find(Reservation, heard.commande_id)
    if reservation and reservation.etat == "retenue":
        rayon = tx.find(Rayon, reservation.produit_id)
        assert rayon is not None  # noqa: S101 - shelves are never deleted
        rayon.vendre(reservation.quantite)
        reservation.etat = "vendue"
        tx.note(reservation_id=reservation.reservation_id, quantite=reservation.quantite)
    yield from ()


def liberer(heard: CommandeAnnulee | StockLiberer, tx: Transaction) -> Iterator[StockLibere]:
    # A cancellation can overtake the order it cancels (the order may wait in a retry queue), and its creation:
    # undo() then leaves a tombstone, and the late event finds it and does nothing. The service always answers.
    tx.undo(vendre)
    fait = tx.undo(reserver)
    reservation = tx.find(Reservation, heard.commande_id)
    if fait and reservation:
        rayon = tx.find(Rayon, reservation.produit_id)
        assert rayon is not None  # noqa: S101 - shelves are never deleted
        rayon.reprendre(reservation.quantite, vendue=reservation.etat == "vendue")
        reservation.etat = "liberee"
    yield StockLibere(commande_id=heard.commande_id, reservation_id=fait["reservation_id"] if fait else None)


REACTIONS = (
    on(
        CommandeInitiee,
        reserver,
        reads=(store.reservation, store.rayon_demande),
        gives_up=StockReservationEchouee,
    ),
    on(CommandeCreee, vendre, reads=(store.reservation, store.rayon_reserve)),
    on(CommandeAnnulee, liberer, reads=(store.reservation, store.rayon_reserve), undoes=(reserver, vendre)),
)

ORCHESTRATION = (
    on(
        StockReserver,
        reserver,
        reads=(store.reservation, store.rayon_demande),
        gives_up=StockReservationEchouee,
    ),
    on(StockVendre, vendre, reads=(store.reservation, store.rayon_reserve)),
    on(StockLiberer, liberer, reads=(store.reservation, store.rayon_reserve), undoes=(reserver, vendre)),
)
