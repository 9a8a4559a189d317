"""The reactions: an event heard, a transaction, the events to say."""

from collections.abc import Iterator

from choregraphie import Transaction, on

from __NAME__.contracts import (
    InscriptionAnnulee,
    InscriptionDemandee,
    PlaceLiberee,
    PlaceRefusee,
    PlaceReservee,
)
from __NAME__.place import rules, store
from __NAME__.place.store import Reservation, Session


def reserver(heard: InscriptionDemandee, tx: Transaction) -> Iterator[PlaceReservee | PlaceRefusee]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    session = tx.find(Session, heard.session_id)
    refus = rules.refus(session.libres if session else None)
    if refus or session is None:
        yield PlaceRefusee(inscription_id=heard.inscription_id, raison=refus or "")
        return
    session.libres -= 1
    tx.add(Reservation(heard.inscription_id, heard.session_id))
    yield PlaceReservee(inscription_id=heard.inscription_id, session_id=heard.session_id)


def liberer(heard: InscriptionAnnulee, tx: Transaction) -> Iterator[PlaceLiberee]:
    # Before the request that it cancels: undo() leaves a tombstone, and the late request does nothing. The answer
    # is always given, so that the events alone tell that the undoing is complete.
    tx.undo(reserver)
    tenue = tx.find(Reservation, heard.inscription_id)
    session = tx.find(Session, tenue.session_id) if tenue else None
    if tenue and session:
        tenue.etat = "liberee"
        session.libres += 1
    yield PlaceLiberee(inscription_id=heard.inscription_id, session_id=tenue.session_id if tenue else None)


REACTIONS = (
    on(InscriptionDemandee, reserver, reads=store.session_demandee, gives_up=PlaceRefusee),
    on(InscriptionAnnulee, liberer, reads=(store.reservation, store.session_reservee), undoes=reserver),
)
