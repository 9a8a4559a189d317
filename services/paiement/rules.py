"""The rules of payment: when money may be taken. Pure."""

from decimal import Decimal


def refus(montant: Decimal, solde: Decimal | None) -> str | None:
    """Why `montant` cannot be taken, or None when it can.

    `solde` is the balance of the account; None: there is no such account.
    """
    if solde is None:
        return "client inconnu"
    if montant > solde:
        return "solde insuffisant"
    return None
