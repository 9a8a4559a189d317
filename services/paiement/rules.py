"""When money may be taken. Pure."""

from decimal import Decimal


def refus(montant: Decimal, solde: Decimal | None) -> str | None:
    """Why `montant` cannot be taken from an account of balance `solde` (None: no such account), or None."""
    if solde is None:
        return "client inconnu"
    if montant > solde:
        return "solde insuffisant"
    return None
