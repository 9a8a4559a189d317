"""The reactions of the agency: record voyages, confirm them, cancel them.

A voyage changes its state by compare-and-set only, so it is confirmed at most once and cancelled at most once,
whatever events race.
"""

from collections.abc import Iterator

from choregraphie import Forget, Transaction, every, on
from voyage.agence import store
from voyage.agence.store import ANNULE, CONFIRME, EN_COURS, INCONNU, Voyage
from voyage.events import (
    HotelRefuse,
    PaiementEchoue,
    PaiementEffectue,
    VoitureRefusee,
    VolRefuse,
    VoyageAnnulationDemandee,
    VoyageAnnule,
    VoyageConfirme,
    VoyageDemande,
)

Refus = VolRefuse | HotelRefuse | VoitureRefusee | PaiementEchoue


def noter(heard: VoyageDemande, tx: Transaction) -> Iterator[VoyageConfirme | VoyageAnnule]:
    # Any event may have overtaken the request. Its row keeps what did, and the decision is taken here.
    voyage = _connu(heard.voyage_id, tx)
    if voyage.passer((INCONNU,), EN_COURS):
        voyage.echeance, voyage.cause, voyage.echeance_demande = tx.deadline, tx.cause, None
        if voyage.raison:
            yield from _annuler(voyage, voyage.raison)
        elif voyage.paye:
            yield from _confirmer(voyage)


def refuser(heard: Refus, tx: Transaction) -> Iterator[VoyageAnnule]:
    # The first refusal cancels; the journal keeps the others from this reaction. Before the request itself: the
    # refusal is kept, and the voyage is cancelled when it comes or at its deadline.
    yield from _annuler(_existant(heard.voyage_id, tx), heard.raison)


def confirmer(heard: PaiementEffectue, tx: Transaction) -> Iterator[VoyageConfirme]:
    # Before the request itself: the payment is kept, and the voyage is confirmed when it comes. After a
    # cancellation: nothing, because the payment service hears the cancellation too.
    voyage = _existant(heard.voyage_id, tx)
    voyage.paye = True
    yield from _confirmer(voyage)


def annuler(heard: VoyageAnnulationDemandee, tx: Transaction) -> Iterator[VoyageAnnule]:
    # Before anything else about the voyage: the demand is kept, and the voyage is cancelled when it comes. No
    # deadline decides it, because a client may name a voyage that never existed; the demand is deleted once none
    # can come.
    voyage = _connu(heard.voyage_id, tx)
    if voyage.etat == INCONNU and voyage.echeance is None:
        voyage.echeance_demande = tx.deadline
    yield from _annuler(voyage, heard.raison)


def expirer(voyage: Voyage, tx: Transaction) -> Iterator[VoyageAnnule]:
    # The state is compared again: the decision may have been taken at the instant of the deadline. A request that
    # comes later finds its voyage cancelled.
    if voyage.passer((INCONNU, EN_COURS), ANNULE):
        voyage.raison = voyage.raison or "délai dépassé"
        yield VoyageAnnule(voyage_id=voyage.voyage_id, raison=voyage.raison, confirme=False)


def _connu(voyage_id: str, tx: Transaction) -> Voyage:
    voyage = tx.find(Voyage, voyage_id)
    if voyage is None:
        voyage = Voyage(voyage_id, INCONNU)
        tx.add(voyage)
    return voyage


def _existant(voyage_id: str, tx: Transaction) -> Voyage:
    """The voyage that another service has worked on; its deadline starts now if it has none.

    The request itself may never come here, and what that service did must then be undone.
    """
    voyage = _connu(voyage_id, tx)
    if voyage.echeance is None:
        voyage.echeance, voyage.cause, voyage.echeance_demande = tx.deadline, tx.cause, None
    return voyage


def _confirmer(voyage: Voyage) -> Iterator[VoyageConfirme]:
    if voyage.passer((EN_COURS,), CONFIRME):
        yield VoyageConfirme(voyage_id=voyage.voyage_id)


def _annuler(voyage: Voyage, raison: str) -> Iterator[VoyageAnnule]:
    if voyage.etat == INCONNU:
        voyage.raison = voyage.raison or raison
        return
    confirme = voyage.etat == CONFIRME
    if voyage.passer((EN_COURS, CONFIRME), ANNULE):
        voyage.raison = raison
        yield VoyageAnnule(voyage_id=voyage.voyage_id, raison=raison, confirme=confirme)


REACTIONS = (
    on(VoyageDemande, noter, reads=store.voyage),
    on(VolRefuse, refuser, reads=store.voyage),
    on(HotelRefuse, refuser, reads=store.voyage),
    on(VoitureRefusee, refuser, reads=store.voyage),
    on(PaiementEchoue, refuser, reads=store.voyage),
    on(PaiementEffectue, confirmer, reads=store.voyage),
    on(VoyageAnnulationDemandee, annuler, reads=store.voyage),
)

TIMED = (every(1.0, expirer, of=Voyage, due=store.ECHUS),)

FORGETS = (Forget(VoyageDemande, Voyage, store.JAMAIS_DEMANDES),)
