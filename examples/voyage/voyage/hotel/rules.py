"""The rules of hotels: whether a room can be booked, and its price. Pure."""

from decimal import Decimal


def refus(libres: int | None) -> str | None:
    """Why no room can be booked, or None when one can. `libres`: the free rooms; None: there is no such hotel."""
    if libres is None:
        return "hôtel inconnu"
    return None if libres else "hôtel complet"


def prix(par_nuit: Decimal, nuits: int) -> Decimal:
    """The price of a stay."""
    return par_nuit * nuits
