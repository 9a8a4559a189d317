"""What the stock service may promise. Pure."""


def manque(quantite: int, disponible: int | None) -> str | None:
    """Why `quantite` cannot be held when `disponible` are on the shelf (None: no such product), or None."""
    if disponible is None:
        return "produit inconnu"
    if quantite > disponible:
        return f"stock insuffisant : {disponible} disponibles, {quantite} demandés"
    return None
