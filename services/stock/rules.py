"""The rules of the stock: whether a quantity can be held. Pure."""


def manque(quantite: int, disponible: int | None) -> str | None:
    """Why `quantite` cannot be held, or None when it can.

    `disponible` is what the shelf has free; None: there is no such product.
    """
    if disponible is None:
        return "produit inconnu"
    if quantite > disponible:
        return f"stock insuffisant : {disponible} disponibles, {quantite} demandés"
    return None
