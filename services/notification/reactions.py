"""What the notification service does about what it hears."""

from collections.abc import Iterator
from dataclasses import dataclass

from choregraphie import ReadView, Transaction, on
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import Modele, NotificationEnvoyee
from services.notification import rules
from services.notification.courrier import Courrier
from services.notification.store import Envoi


@dataclass(frozen=True)
class Parti:
    """A message that has left."""

    modele: Modele
    destinataire: str


async def envoyer_confirmation(heard: CommandeCreee, look: ReadView, courrier: Courrier) -> Parti:
    return await _envoyer("confirmation", "", heard.commande_id, look, courrier)


async def envoyer_annulation(heard: CommandeAnnulee, look: ReadView, courrier: Courrier) -> Parti:
    # A confirmation under way counts as sent: nobody can tell whether it has left.
    modele = rules.modele_annulation(confirmee=look.begun(confirmer))
    return await _envoyer(modele, heard.raison, heard.commande_id, look, courrier)


async def _envoyer(modele: Modele, raison: str, commande_id: str, look: ReadView, courrier: Courrier) -> Parti:
    objet, texte = rules.objet(modele, commande_id), rules.texte(modele, commande_id, raison)
    return Parti(modele, await courrier.envoyer(look.key(), commande_id, objet, texte))


def confirmer(heard: CommandeCreee, tx: Transaction, parti: Parti) -> Iterator[NotificationEnvoyee]:
    # After the cancellation of an order created before: its tombstone keeps the confirmation from leaving.
    yield _note(heard.commande_id, tx, parti)


def prevenir(heard: CommandeAnnulee, tx: Transaction, parti: Parti) -> Iterator[NotificationEnvoyee]:
    # Before the creation that it cancels: undo() leaves a tombstone, and no confirmation leaves any more.
    tx.undo(confirmer)
    yield _note(heard.commande_id, tx, parti)


def _note(commande_id: str, tx: Transaction, parti: Parti) -> NotificationEnvoyee:
    tx.add(Envoi(tx.key(), commande_id, parti.modele, parti.destinataire, tx.now))
    tx.note(modele=parti.modele, destinataire=parti.destinataire)
    return NotificationEnvoyee(commande_id=commande_id, modele=parti.modele, destinataire=parti.destinataire)


REACTIONS = (
    on(CommandeCreee, confirmer, call=envoyer_confirmation),
    on(CommandeAnnulee, prevenir, call=envoyer_annulation, undoes=confirmer),
)
