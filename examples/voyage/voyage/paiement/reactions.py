"""The reactions of the payment service: debit the price of three bookings, give it back."""

from collections.abc import Iterator
from decimal import Decimal

from choregraphie import Transaction, on
from voyage.choreography import RESERVE
from voyage.events import PaiementEchoue, PaiementEffectue, PaiementRembourse, VoyageAnnule
from voyage.paiement import rules, store
from voyage.paiement.store import Carte, Paiement, Reserve


def debiter(heard: Reserve, tx: Transaction) -> Iterator[PaiementEffectue | PaiementEchoue]:
    # The bookings come in any order, and before the last of them nothing is done. A cancellation can come at any
    # time; its tombstone then prevents this reaction, whatever was heard.
    vol, hotel, voiture = heard
    montant = vol.prix + hotel.prix + voiture.prix
    if len({booking.client_id for booking in heard}) > 1:
        # Two requests under one id can arrive at the three services in different orders.
        yield PaiementEchoue(voyage_id=vol.voyage_id, raison="réservations de plusieurs clients")
        return
    carte = tx.find(Carte, vol.client_id)
    refus = rules.refus(montant, carte.plafond - carte.debite if carte else None)
    if refus or carte is None:
        yield PaiementEchoue(voyage_id=vol.voyage_id, raison=refus or "")
        return
    carte.debite += montant
    transaction_id = tx.new_id("transaction")
    tx.add(Paiement(vol.voyage_id, transaction_id, carte.client_id, montant, vol.frais))
    yield PaiementEffectue(voyage_id=vol.voyage_id, transaction_id=transaction_id, montant=montant)


def rembourser(heard: VoyageAnnule, tx: Transaction) -> Iterator[PaiementRembourse]:
    # A cancellation can overtake the bookings: undo() then leaves a tombstone, and they debit nothing when they
    # come. The service always answers.
    tx.undo(debiter)
    paiement = tx.find(Paiement, heard.voyage_id)
    carte = tx.find(Carte, paiement.client_id) if paiement else None
    if paiement is None or carte is None:
        yield PaiementRembourse(voyage_id=heard.voyage_id, transaction_id=None, montant=Decimal(0))
        return
    rendu = rules.a_rembourser(paiement.montant, paiement.frais, confirme=heard.confirme)
    carte.debite -= rendu
    paiement.etat, paiement.rembourse = "rembourse", rendu
    yield PaiementRembourse(voyage_id=heard.voyage_id, transaction_id=paiement.transaction_id, montant=rendu)


REACTIONS = (
    on(RESERVE, debiter, reads=store.carte, gives_up=PaiementEchoue),
    on(VoyageAnnule, rembourser, reads=(store.paiement, store.carte_debitee), undoes=debiter),
)
