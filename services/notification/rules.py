"""The rules of notification: which message a customer gets, and its text. Pure."""

from contracts.notification import Modele

_OBJETS: dict[Modele, str] = {
    "confirmation": "Votre commande {commande} est confirmée",
    "annulation": "Votre commande {commande} est annulée",
    "rectificatif": "Rectificatif : votre commande {commande} est annulée",
}
_TEXTES: dict[Modele, str] = {
    "confirmation": "Bonjour,\n\nvotre commande {commande} est confirmée.\n",
    "annulation": "Bonjour,\n\nvotre commande {commande} est annulée : {raison}.\n",
    "rectificatif": (
        "Bonjour,\n\nnous vous avions confirmé la commande {commande}. Elle est annulée : {raison}.\n"
        "Ce qui a été débité est remboursé.\n"
    ),
}


def modele_annulation(*, confirmee: bool) -> Modele:
    """The kind of message for a cancelled order: after a confirmation, which cannot be unsent, a correction."""
    return "rectificatif" if confirmee else "annulation"


def objet(modele: Modele, commande_id: str) -> str:
    return _OBJETS[modele].format(commande=commande_id)


def texte(modele: Modele, commande_id: str, raison: str) -> str:
    return _TEXTES[modele].format(commande=commande_id, raison=raison)
