"""What is written to a customer, and to which address. Pure."""

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
    """A message that was sent cannot be unsent: after a confirmation, a cancellation is a correction."""
    return "rectificatif" if confirmee else "annulation"


def objet(modele: Modele, commande_id: str) -> str:
    return _OBJETS[modele].format(commande=commande_id)


def texte(modele: Modele, commande_id: str, raison: str) -> str:
    return _TEXTES[modele].format(commande=commande_id, raison=raison)
