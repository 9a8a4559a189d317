"""Who may buy, and for how much. Pure."""

from decimal import Decimal

DELAI_DEPASSE = "délai dépassé"


def refus(montant: Decimal, *, bloque: bool, encours: Decimal, plafond: Decimal | None) -> str | None:
    """Why a client with `encours` already created may not be sold `montant` more, or None.

    `plafond` is the most that may be created and not cancelled at once; None: no ceiling.
    """
    if bloque:
        return "client bloqué"
    if plafond is not None and encours + montant > plafond:
        return f"plafond dépassé : {plafond}"
    return None


def ecart(commande: Decimal | None, paye: Decimal | None) -> str | None:
    """Why what was paid is not what was ordered, or None. An amount that is not known yet does not differ."""
    if None in (commande, paye) or commande == paye:
        return None
    return f"montant payé {paye:.2f}, commandé {commande:.2f}"
