"""An order that nobody settles in time is cancelled by the clock, and undone by whoever wakes up late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.workers import paused

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop


def test_an_order_is_cancelled_when_stock_is_silent_past_the_deadline(closed_shop: Shop) -> None:
    shop = closed_shop
    shop.settings["deadline"] = 2
    shop.open("stock")
    before = shop.inspect("stock")
    with paused(shop.workers["stock"]):
        order = shop.order()
        told = shop.told(order, "commande.annulee", "paiement.rembourse", "notification.envoyee")
        assert told["commande.annulee"].json["data"]["raison"] == "délai dépassé"
        assert told["commande.annulee"].json["causationid"] == told["commande.initiee"].json["id"]
        assert "stock.libere" not in told
    shop.told(order, "stock.libere")
    other = shop.order(quantite=1, produit_id="PROD-000")
    shop.told(other, "stock.libere")
    assert "commande.creee" not in shop.told(order)
    assert shop.inspect("stock") == before
    assert shop.inspect("paiement")["mouvements"]["debits"]["nombre"] in {0, refunded(shop)}
    assert shop.inspect("commande")["commandes"]["annulees"] == 2


def refunded(shop: Shop) -> int:
    number: int = shop.inspect("paiement")["mouvements"]["remboursements"]["nombre"]
    return number
