"""The deadline cancels an order that is not settled in time, and a service that was late undoes its step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.workers import paused

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


def test_an_order_is_cancelled_when_stock_is_silent_past_the_deadline(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.settings["deadline"] = 2
    saga.start_all("stock")
    before = saga.inspect("stock")
    with paused(saga.workers["stock"]):
        order = saga.order()
        published = saga.await_events(order, "commande.annulee", "paiement.rembourse", "notification.envoyee")
        assert published["commande.annulee"].json["data"]["raison"] == "délai dépassé"
        assert published["commande.annulee"].json["causationid"] == published["commande.initiee"].json["id"]
        assert "stock.libere" not in published
    saga.await_events(order, "stock.libere")
    other = saga.order(quantite=1, produit_id="PROD-000")
    saga.await_events(other, "stock.libere")
    assert "commande.creee" not in saga.await_events(order)
    assert saga.inspect("stock") == before
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] in {0, refunded(saga)}
    assert saga.inspect("commande")["commandes"]["annulees"] == 2


def refunded(saga: SagaFixture) -> int:
    number: int = saga.inspect("paiement")["mouvements"]["remboursements"]["nombre"]
    return number
