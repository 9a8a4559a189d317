"""The reactions of the car rental: book a car, set it free."""

from collections.abc import Iterator

from choregraphie import Transaction, on
from voyage.events import VoitureAnnulee, VoitureRefusee, VoitureReservee, VoyageAnnule, VoyageDemande
from voyage.voiture import rules, store
from voyage.voiture.store import Categorie, Location


def reserver(heard: VoyageDemande, tx: Transaction) -> Iterator[VoitureReservee | VoitureRefusee]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    categorie = tx.find(Categorie, heard.voiture_id)
    refus = rules.refus(categorie.libres if categorie else None)
    if refus or categorie is None:
        yield VoitureRefusee(voyage_id=heard.voyage_id, raison=refus or "")
        return
    categorie.louees += 1
    reservation_id = tx.new_id("reservation")
    jours = rules.jours(heard.nuits)
    tx.add(Location(heard.voyage_id, reservation_id, categorie.voiture_id, jours))
    yield VoitureReservee(
        voyage_id=heard.voyage_id,
        reservation_id=reservation_id,
        client_id=heard.client_id,
        prix=rules.prix(categorie.prix, jours),
    )


def annuler(heard: VoyageAnnule, tx: Transaction) -> Iterator[VoitureAnnulee]:
    # A cancellation can overtake the request: undo() then leaves a tombstone, and the late request finds it and
    # does nothing. The service always answers.
    tx.undo(reserver)
    location = tx.find(Location, heard.voyage_id)
    categorie = tx.find(Categorie, location.voiture_id) if location else None
    if location and categorie:
        categorie.louees -= 1
        location.etat = "annule"
    yield VoitureAnnulee(voyage_id=heard.voyage_id, reservation_id=location.reservation_id if location else None)


REACTIONS = (
    on(VoyageDemande, reserver, reads=store.categorie_demandee, gives_up=VoitureRefusee),
    on(VoyageAnnule, annuler, reads=(store.location, store.categorie_de_la_location), undoes=reserver),
)
