"""The reactions of the flight service: book seats, give them back."""

from collections.abc import Iterator
from decimal import Decimal

from choregraphie import Transaction, on
from voyage.events import VolAnnule, VolRefuse, VolReserve, VoyageAnnule, VoyageDemande
from voyage.vol import rules, store
from voyage.vol.store import Billet, Vol


def reserver(heard: VoyageDemande, tx: Transaction) -> Iterator[VolReserve | VolRefuse]:
    # Only a cancellation can come before this; its tombstone then prevents this reaction.
    vol = tx.find(Vol, heard.vol_id)
    if vol is None:
        yield VolRefuse(voyage_id=heard.voyage_id, raison="vol inconnu")
        return
    if refus := rules.refus(heard.voyageurs, vol.places - vol.prises):
        yield VolRefuse(voyage_id=heard.voyage_id, raison=refus)
        return
    vol.prises += heard.voyageurs
    prix, frais = vol.prix * heard.voyageurs, vol.frais * heard.voyageurs
    reservation_id = tx.new_id("reservation")
    tx.add(Billet(heard.voyage_id, reservation_id, vol.vol_id, heard.voyageurs, prix, frais))
    yield VolReserve(
        voyage_id=heard.voyage_id,
        reservation_id=reservation_id,
        client_id=heard.client_id,
        prix=prix,
        frais=frais,
    )


def annuler(heard: VoyageAnnule, tx: Transaction) -> Iterator[VolAnnule]:
    # A cancellation can overtake the request (it may wait in a retry queue): undo() then leaves a tombstone, and
    # the late request finds it and does nothing. The service always answers.
    tx.undo(reserver)
    billet = tx.find(Billet, heard.voyage_id)
    vol = tx.find(Vol, billet.vol_id) if billet else None
    if billet is None or vol is None:
        yield VolAnnule(voyage_id=heard.voyage_id, reservation_id=None, rembourse=Decimal(0), frais=Decimal(0))
        return
    vol.prises -= billet.voyageurs
    billet.etat, billet.retenu = "annule", rules.frais_dus(billet.frais, confirme=heard.confirme)
    yield VolAnnule(
        voyage_id=heard.voyage_id,
        reservation_id=billet.reservation_id,
        rembourse=billet.prix - billet.retenu,
        frais=billet.retenu,
    )


REACTIONS = (
    on(VoyageDemande, reserver, reads=store.vol_demande, gives_up=VolRefuse),
    on(VoyageAnnule, annuler, reads=(store.billet, store.vol_du_billet), undoes=reserver),
)
