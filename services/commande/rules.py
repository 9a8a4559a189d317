"""The rules of orders: which client may buy, and for how much. Pure."""

from decimal import Decimal

DELAI_DEPASSE = "délai dépassé"


def refus(montant: Decimal, *, bloque: bool, encours: Decimal, plafond: Decimal | None) -> str | None:
    """Why a client may not buy for `montant`, or None when it may.

    `encours` is the sum of the client's created orders that are not cancelled; `plafond` is its bound, if any.
    """
    if bloque:
        return "client bloqué"
    if plafond is not None and encours + montant > plafond:
        return f"plafond dépassé : {plafond}"
    return None


def ecart(commande: Decimal | None, paye: Decimal | None) -> str | None:
    """How the amount paid differs from the amount ordered, or None while either is unknown or they are equal."""
    if None in (commande, paye) or commande == paye:
        return None
    return f"montant payé {paye:.2f}, commandé {commande:.2f}"
