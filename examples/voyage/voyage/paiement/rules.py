"""The rules of payment: when a card may be debited, and what it gets back. Pure."""

from decimal import Decimal


def refus(montant: Decimal, reste: Decimal | None) -> str | None:
    """Why `montant` cannot be debited, or None when it can. `reste`: what the card still allows; None: no card."""
    if reste is None:
        return "carte inconnue"
    return "carte refusée : plafond dépassé" if montant > reste else None


def a_rembourser(montant: Decimal, frais: Decimal, *, confirme: bool) -> Decimal:
    """What is credited. The airline announced its fee when it booked, and keeps it only after a confirmation."""
    return montant - frais if confirme else montant
