"""The rules of places. Pure: they touch no database and no clock."""


def refus(libres: int | None) -> str | None:
    """Why no place can be held, or None when one can. `libres`: free places; None: no such session."""
    if libres is None:
        return "session inconnue"
    return "session complète" if libres < 1 else None
