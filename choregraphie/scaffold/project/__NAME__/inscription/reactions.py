"""The reactions of the decider. Any event may overtake any other: whichever comes first creates the row.

An enrolment changes its state by compare-and-set only, so it is confirmed at most once and cancelled at most once.
"""

from collections.abc import Iterator

from choregraphie import Forget, Transaction, every, on

from __NAME__.contracts import (
    InscriptionAnnulationDemandee,
    InscriptionAnnulee,
    InscriptionConfirmee,
    InscriptionDemandee,
    InscriptionEvent,
    PlaceRefusee,
    PlaceReservee,
)
from __NAME__.inscription import store
from __NAME__.inscription.store import (
    ANNULEE,
    CONFIRMEE,
    EN_ATTENTE,
    INCONNUE,
    Inscription,
)


def noter(heard: InscriptionDemandee, tx: Transaction) -> Iterator[InscriptionConfirmee | InscriptionAnnulee]:
    # Any event may have overtaken the request. The row keeps what did, and the decision is completed here.
    inscription = _attendue(heard, tx)
    if not inscription.passer((INCONNUE,), EN_ATTENTE):
        return
    if inscription.raison:
        yield from _annuler(inscription, inscription.raison)
    elif inscription.reservee:
        yield from _confirmer(inscription)


def confirmer(heard: PlaceReservee, tx: Transaction) -> Iterator[InscriptionConfirmee]:
    # Before the request: kept, and confirmed when it comes. After a cancellation: nothing, because `place` hears
    # the cancellation too.
    inscription = _attendue(heard, tx)
    inscription.reservee = True
    yield from _confirmer(inscription)


def refuser(heard: PlaceRefusee, tx: Transaction) -> Iterator[InscriptionAnnulee]:
    # Before the request: kept, and cancelled when it comes or at the deadline.
    yield from _annuler(_attendue(heard, tx), heard.raison)


def annuler(heard: InscriptionAnnulationDemandee, tx: Transaction) -> Iterator[InscriptionAnnulee]:
    # Before the request: kept without a deadline, because a client may name an enrolment that never existed. If it
    # never comes, the row is forgotten.
    inscription = _connue(heard, tx)
    if inscription.echeance is None:
        inscription.attendue = inscription.attendue or tx.deadline
    yield from _annuler(inscription, heard.raison)


def expirer(inscription: Inscription, tx: Transaction) -> Iterator[InscriptionAnnulee]:
    # The state is compared again: the decision may have been taken at the instant of the deadline.
    if inscription.passer((INCONNUE, EN_ATTENTE), ANNULEE):
        inscription.raison = inscription.raison or "délai dépassé"
        yield InscriptionAnnulee(inscription_id=inscription.inscription_id, raison=inscription.raison)


def _connue(heard: InscriptionEvent, tx: Transaction) -> Inscription:
    inscription = tx.find(Inscription, heard.inscription_id)
    if inscription is None:
        inscription = Inscription(heard.inscription_id)
        tx.add(inscription)
    return inscription


def _attendue(heard: InscriptionEvent, tx: Transaction) -> Inscription:
    """The enrolment that must end, by its deadline at the latest."""
    inscription = _connue(heard, tx)
    if inscription.echeance is None:
        inscription.echeance, inscription.cause, inscription.attendue = tx.deadline, tx.cause, None
    return inscription


def _confirmer(inscription: Inscription) -> Iterator[InscriptionConfirmee]:
    if inscription.passer((EN_ATTENTE,), CONFIRMEE):
        yield InscriptionConfirmee(inscription_id=inscription.inscription_id)


def _annuler(inscription: Inscription, raison: str) -> Iterator[InscriptionAnnulee]:
    if inscription.etat == INCONNUE:
        inscription.raison = inscription.raison or raison
    elif inscription.passer((EN_ATTENTE, CONFIRMEE), ANNULEE):
        inscription.raison = raison
        yield InscriptionAnnulee(inscription_id=inscription.inscription_id, raison=raison)


REACTIONS = (
    on(InscriptionDemandee, noter, reads=store.inscription),
    on(PlaceReservee, confirmer, reads=store.inscription),
    on(PlaceRefusee, refuser, reads=store.inscription),
    on(InscriptionAnnulationDemandee, annuler, reads=store.inscription),
)

TIMED = (every(1.0, expirer, of=Inscription, due=store.ECHUES),)

FORGETS = (Forget(InscriptionDemandee, Inscription, due=store.JAMAIS_DEMANDEES),)
