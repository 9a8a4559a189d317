"""The reactions of the hotel service: book a room, set it free."""

from collections.abc import Iterator

from choregraphie import Transaction, on
from voyage.events import HotelAnnule, HotelRefuse, HotelReserve, VoyageAnnule, VoyageDemande
from voyage.hotel import rules, store
from voyage.hotel.store import Hotel, Sejour


def reserver(heard: VoyageDemande, tx: Transaction) -> Iterator[HotelReserve | HotelRefuse]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    hotel = tx.find(Hotel, heard.hotel_id)
    refus = rules.refus(hotel.libres if hotel else None)
    if refus or hotel is None:
        yield HotelRefuse(voyage_id=heard.voyage_id, raison=refus or "")
        return
    hotel.prises += 1
    reservation_id = tx.new_id("reservation")
    tx.add(Sejour(heard.voyage_id, reservation_id, hotel.hotel_id, heard.nuits))
    yield HotelReserve(
        voyage_id=heard.voyage_id,
        reservation_id=reservation_id,
        client_id=heard.client_id,
        prix=rules.prix(hotel.prix, heard.nuits),
    )


def annuler(heard: VoyageAnnule, tx: Transaction) -> Iterator[HotelAnnule]:
    # A cancellation can overtake the request: undo() then leaves a tombstone, and the late request finds it and
    # does nothing. The service always answers.
    tx.undo(reserver)
    sejour = tx.find(Sejour, heard.voyage_id)
    hotel = tx.find(Hotel, sejour.hotel_id) if sejour else None
    if sejour and hotel:
        hotel.prises -= 1
        sejour.etat = "annule"
    yield HotelAnnule(voyage_id=heard.voyage_id, reservation_id=sejour.reservation_id if sejour else None)


REACTIONS = (
    on(VoyageDemande, reserver, reads=store.hotel_demande, gives_up=HotelRefuse),
    on(VoyageAnnule, annuler, reads=(store.sejour, store.hotel_du_sejour), undoes=reserver),
)
