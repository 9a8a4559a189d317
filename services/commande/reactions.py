"""The reactions of the order service: record orders, create them, cancel them.

An order changes its state by compare-and-set only, so it is created at most once and cancelled at most once,
whatever events race.
"""

from collections.abc import Iterator

from choregraphie import Forget, Transaction, every, on
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.commands import CommandeAnnuler, CommandeCreer
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockReservationEchouee
from services.commande import rules, store
from services.commande.store import ANNULEE, CREEE, EN_ATTENTE, INCONNUE, Client, Commande


def noter(heard: CommandeInitiee, tx: Transaction) -> Iterator[CommandeCreee | CommandeAnnulee]:
    # Any event may have overtaken the order itself. Its row keeps what did, and the decision is completed here.
    commande = _connue(heard.commande_id, tx)
    if not commande.passer((INCONNUE,), EN_ATTENTE):
        return
    commande.client_id, commande.montant = heard.client_id, heard.montant
    commande.echeance, commande.cause = tx.deadline, tx.cause
    commande.echeance_demande = None
    if commande.raison:
        yield from _annuler(commande, commande.raison, tx)
    elif commande.paye is not None:
        yield from _creer(commande, tx)


def refuser(heard: StockReservationEchouee, tx: Transaction) -> Iterator[CommandeAnnulee]:
    # Before the order itself: the refusal is kept, and the order is cancelled when it comes or at its deadline.
    yield from _annuler(_en_cours(heard.commande_id, tx), heard.raison, tx)


def refuser_paiement(heard: PaiementEchoue, tx: Transaction) -> Iterator[CommandeAnnulee]:
    # Before the order itself: the refusal is kept, and the order is cancelled when it comes or at its deadline.
    yield from _annuler(_en_cours(heard.commande_id, tx), heard.raison, tx)


def creer(heard: PaiementEffectue, tx: Transaction) -> Iterator[CommandeCreee | CommandeAnnulee]:
    # Before the order itself: the payment is kept, and the order is created when it comes or cancelled at its
    # deadline. After a cancellation: nothing, because the payment service hears the cancellation too.
    commande = _en_cours(heard.commande_id, tx)
    commande.paye = heard.montant
    yield from _creer(commande, tx)


def annuler(heard: CommandeAnnulationDemandee, tx: Transaction) -> Iterator[CommandeAnnulee]:
    # Before the order itself: the demand is kept, and the order is cancelled when it comes. No deadline cancels
    # it, because a client may name an order that never existed; the demand is deleted once none can come.
    commande = _connue(heard.commande_id, tx)
    if commande.etat == INCONNUE and commande.echeance is None:
        commande.echeance_demande = tx.deadline
    yield from _annuler(commande, heard.raison, tx)


def expirer(commande: Commande, tx: Transaction) -> Iterator[CommandeAnnulee]:
    # The state is compared again: the decision may have been taken at the instant of the deadline. An order that
    # comes later finds itself cancelled.
    if commande.passer((INCONNUE, EN_ATTENTE), ANNULEE):
        commande.raison = commande.raison or rules.DELAI_DEPASSE
        yield CommandeAnnulee(commande_id=commande.commande_id, raison=commande.raison)


def enregistrer(heard: CommandeCreer, tx: Transaction) -> Iterator[CommandeCreee | CommandeAnnulee]:
    # Only its cancellation can come before it: then the order is cancelled already, and nothing is answered.
    commande = _connue(heard.commande_id, tx)
    if commande.passer((INCONNUE,), EN_ATTENTE):
        commande.client_id, commande.montant = heard.client_id, heard.montant
        yield from _creer(commande, tx)


def retirer(heard: CommandeAnnuler, tx: Transaction) -> Iterator[CommandeAnnulee]:
    # Before the order itself: it is cancelled all the same, and finds itself so when it comes.
    commande = _connue(heard.commande_id, tx)
    commande.passer((INCONNUE,), EN_ATTENTE)
    yield from _annuler(commande, heard.raison, tx)


def _connue(commande_id: str, tx: Transaction) -> Commande:
    """The order's row; a new one, INCONNUE, when nothing has mentioned the order before."""
    commande = tx.find(Commande, commande_id)
    if commande is None:
        commande = Commande(commande_id, INCONNUE)
        tx.add(commande)
    return commande


def _en_cours(commande_id: str, tx: Transaction) -> Commande:
    """The order that a service has worked on; its deadline starts now if it has none.

    The order itself may never come here, and what the service did for it must then be undone.
    """
    commande = _connue(commande_id, tx)
    if commande.etat == INCONNUE and commande.echeance is None:
        commande.echeance, commande.cause = tx.deadline, tx.cause
        commande.echeance_demande = None
    return commande


def _creer(commande: Commande, tx: Transaction) -> Iterator[CommandeCreee | CommandeAnnulee]:
    if commande.etat != EN_ATTENTE or commande.client_id is None:
        return
    client = tx.find(Client, commande.client_id)
    if refus := _refus(commande, client):
        yield from _annuler(commande, refus, tx)
    elif commande.passer((EN_ATTENTE,), CREEE):
        if client and commande.montant is not None:
            client.encours += commande.montant
        yield CommandeCreee(commande_id=commande.commande_id)


def _refus(commande: Commande, client: Client | None) -> str | None:
    # Two orders that race under one id can arrive here in another sequence than at the stock: the amount paid is
    # then not the amount recorded.
    if ecart := rules.ecart(commande.montant, commande.paye):
        return ecart
    if client is None or commande.montant is None:
        return None
    return rules.refus(commande.montant, bloque=client.bloque, encours=client.encours, plafond=client.plafond)


def _annuler(commande: Commande, raison: str, tx: Transaction) -> Iterator[CommandeAnnulee]:
    if commande.etat == INCONNUE:
        commande.raison = commande.raison or raison
        return
    creee = commande.etat == CREEE
    if commande.passer((EN_ATTENTE, CREEE), ANNULEE):
        commande.raison = raison
        client = tx.find(Client, commande.client_id) if creee and commande.client_id else None
        if client and commande.montant is not None:
            client.encours -= commande.montant
        yield CommandeAnnulee(commande_id=commande.commande_id, raison=raison)


_READS = (store.commande, store.client)

REACTIONS = (
    on(CommandeInitiee, noter, reads=_READS),
    on(StockReservationEchouee, refuser, reads=_READS),
    on(PaiementEchoue, refuser_paiement, reads=_READS),
    on(PaiementEffectue, creer, reads=_READS),
    on(CommandeAnnulationDemandee, annuler, reads=_READS),
)

TIMED = (every(1.0, expirer, of=Commande, due=store.ECHUES),)

FORGETS = (Forget(CommandeInitiee, Commande, store.JAMAIS_COMMANDEES),)

ORCHESTRATION = (
    on(CommandeCreer, enregistrer, reads=_READS),
    on(CommandeAnnuler, retirer, reads=_READS),
)
