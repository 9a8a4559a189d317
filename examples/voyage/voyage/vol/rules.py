"""The rules of flights: whether seats can be booked, and what the airline keeps. Pure."""

from decimal import Decimal


def refus(voyageurs: int, libres: int) -> str | None:
    """Why `voyageurs` seats cannot be booked where `libres` are free, or None when they can."""
    return f"vol complet : {libres} places, {voyageurs} demandées" if voyageurs > libres else None


def frais_dus(frais: Decimal, *, confirme: bool) -> Decimal:
    """What the airline keeps. Until the voyage is confirmed no ticket is issued, and cancelling costs nothing."""
    return frais if confirme else Decimal(0)
