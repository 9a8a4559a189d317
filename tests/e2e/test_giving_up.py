"""A step that is given up says its refusal and leaves a dead letter; an undoing waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop


def test_a_gateway_that_never_answers_is_given_up_and_the_order_is_undone_when_it_is_back(
    closed_shop: Shop,
) -> None:
    shop = closed_shop
    broken = shop.start("paiement", gateway_failure_rate=1)
    others = shop.start("stock", "commande", "notification")
    for worker in (broken, others):
        worker.await_ready()
    shop.ear = shop.outsider.listen(*(f"{name}.events" for name in ("client", "stock", "paiement", "commande")))
    order = shop.order()

    told = shop.told(order, "paiement.echoue", "commande.annulee", "stock.libere")
    assert told["paiement.echoue"].json["data"]["raison"] == "abandon après 3 essais"
    assert told["paiement.echoue"].json["causationid"] == told["stock.reserve"].json["id"]
    letters = [shop.outsider.get("paiement.dlq", within_seconds=20) for _ in range(2)]
    found = {letter.key: letter for letter in letters if letter is not None}
    assert set(found) == {"stock.reserve", "commande.annulee"}
    for type_, letter in found.items():
        assert letter.body == told[type_].body
        assert letter.headers["x-saga-reason"] == "exhausted"
        assert letter.headers["x-saga-attempt"] == 3
        assert letter.headers["x-saga-exchange"] == told[type_].exchange
        assert "ConnectionError" in letter.headers["x-saga-detail"]
    assert "paiement.rembourse" not in shop.told(order)

    assert broken.end() == 0
    shop.start("paiement").await_ready()
    undoing = found["commande.annulee"]
    # As an operator's redrive would: the same bytes, to the one service that failed.
    assert shop.outsider.publish("paiement.requeue", undoing.key, undoing.body, undoing.headers, delivery_mode=2)
    refund = shop.told(order, "paiement.rembourse")["paiement.rembourse"].json["data"]
    assert (refund["transaction_id"], refund["montant"]) == (None, 0)
    assert shop.outsider.publish("paiement.requeue", "stock.reserve", found["stock.reserve"].body, None)
    shop.told(shop.order(), "commande.creee")
    assert "paiement.effectue" not in shop.told(order)
    assert shop.inspect("paiement")["comptes"]["CLIENT-123"]["solde"] == 100_000 - 99.99


def test_an_answer_that_is_lost_now_and_then_only_costs_another_try(closed_shop: Shop) -> None:
    shop = closed_shop
    settings = {"gateway_failure_rate": 0.5, "retry_delays": ",".join(["0.05"] * 1 + ["0.1"] * 19)}
    shop.settings |= settings
    shop.open()
    orders = [shop.order(montant=10) for _ in range(10)]
    for order in orders:
        shop.told(order, "commande.creee", within_seconds=40)
    comptes = shop.inspect("paiement")
    assert comptes["comptes"]["CLIENT-123"]["solde"] == 100_000 - 100
    assert comptes["mouvements"]["debits"] == {"nombre": 10, "montant": 100.0}
    assert shop.workers["paiement"].logged("call.failed")
    assert shop.outsider.count("paiement.dlq") == 0
