"""The reactions of the notification service: confirm an order, tell the customer that it is cancelled."""

from collections.abc import Iterator
from dataclasses import dataclass

from choregraphie import ReadView, Transaction, on
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.commands import NotificationEnvoyer, NotificationPrevenir
from contracts.notification import Modele, NotificationEnvoyee
from services.notification import rules
from services.notification.courrier import COURRIER, Courrier
from services.notification.store import Envoi


@dataclass(frozen=True)
class Envoye:
    """A message that was sent."""

    modele: Modele
    destinataire: str


async def envoyer_confirmation(
    heard: CommandeCreee | NotificationEnvoyer, view: ReadView, courrier: Courrier
) -> Envoye:
    return await _envoyer("confirmation", "", heard.commande_id, view, courrier)


async def envoyer_annulation(
    heard: CommandeAnnulee | NotificationPrevenir, view: ReadView, courrier: Courrier
) -> Envoye:
    # A confirmation under way counts as sent: whether it has left cannot be known.
    modele = rules.modele_annulation(confirmee=view.begun(confirmer))
    return await _envoyer(modele, heard.raison, heard.commande_id, view, courrier)


async def _envoyer(modele: Modele, raison: str, commande_id: str, view: ReadView, courrier: Courrier) -> Envoye:
    objet, texte = rules.objet(modele, commande_id), rules.texte(modele, commande_id, raison)
    return Envoye(modele, await courrier.envoyer(view.idempotency_key(), commande_id, objet, texte))


def confirmer(
    heard: CommandeCreee | NotificationEnvoyer, tx: Transaction, envoye: Envoye
) -> Iterator[NotificationEnvoyee]:
    # When the cancellation has overtaken the creation, its tombstone prevents this reaction and its message.
    yield _note(heard.commande_id, tx, envoye)


def prevenir(
    heard: CommandeAnnulee | NotificationPrevenir, tx: Transaction, envoye: Envoye
) -> Iterator[NotificationEnvoyee]:
    # A cancellation can overtake the creation: undo() then leaves a tombstone, and no confirmation is sent later.
    tx.undo(confirmer)
    yield _note(heard.commande_id, tx, envoye)


def _note(commande_id: str, tx: Transaction, envoye: Envoye) -> NotificationEnvoyee:
    tx.add(Envoi(tx.idempotency_key(), commande_id, envoye.modele, envoye.destinataire, tx.now))
    tx.note(modele=envoye.modele, destinataire=envoye.destinataire)
    return NotificationEnvoyee(commande_id=commande_id, modele=envoye.modele, destinataire=envoye.destinataire)


REACTIONS = (
    on(CommandeCreee, confirmer, call=envoyer_confirmation, breaker=COURRIER),
    on(CommandeAnnulee, prevenir, call=envoyer_annulation, breaker=COURRIER, undoes=confirmer),
)

ORCHESTRATION = (
    on(NotificationEnvoyer, confirmer, call=envoyer_confirmation, breaker=COURRIER),
    on(NotificationPrevenir, prevenir, call=envoyer_annulation, breaker=COURRIER, undoes=confirmer),
)
