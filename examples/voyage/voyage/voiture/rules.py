"""The rules of car rental: whether a car can be booked, for how many days, and its price. Pure."""

from decimal import Decimal


def refus(libres: int | None) -> str | None:
    """Why no car can be booked, or None when one can. `libres`: the free cars; None: there is no such category."""
    if libres is None:
        return "catégorie inconnue"
    return None if libres else "aucune voiture libre"


def jours(nuits: int) -> int:
    """The days of a voyage of `nuits` nights: the car comes back on the day after the last night."""
    return nuits + 1


def prix(par_jour: Decimal, jours: int) -> Decimal:
    """The price of a rental."""
    return par_jour * jours
