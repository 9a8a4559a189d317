"""What comes back with all that a broker wrote on it, and what asks for copies of itself: neither does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT

if TYPE_CHECKING:
    from tests.support.foreign_client import Heard
    from tests.support.saga_fixture import Shop

UNDONE = ("commande.annulee", "stock.libere", "paiement.rembourse", "notification.envoyee")
END = ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee")


def send_back_as_it_is(shop: Shop, letter: Heard) -> None:
    """What a careless operator does: nothing is taken off it."""
    assert shop.outsider.publish("paiement.requeue", letter.key, letter.body, letter.headers, delivery_mode=2)


def set_aside_by_the_broker(shop: Shop) -> Heard:
    """Taken, and put back, until the broker has had enough."""
    shop.outsider.refuse("paiement.inbox", WORK_DELIVERY_LIMIT + 1)
    letter = shop.outsider.get("paiement.dlq", within_seconds=20)
    assert letter is not None
    assert letter.headers["x-death"][0]["queue"] == "paiement.inbox"
    return letter


def test_a_dead_letter_sent_back_with_its_x_death_comes_through_its_retries_and_is_set_aside_again(
    closed_shop: Shop,
) -> None:
    """RabbitMQ 3 drops what meets, on its way through a retry queue, a queue that is named in its `x-death`."""
    shop = closed_shop
    shop.start("stock", "commande", "notification").await_ready()
    shop.ear = shop.outsider.listen(*(f"{name}.events" for name in ("client", "stock", "paiement", "commande")))
    order = shop.order()
    shop.told(order, "stock.reserve")
    letter = set_aside_by_the_broker(shop)

    broken = shop.start("paiement", gateway_failure_rate=1)
    broken.await_ready()
    send_back_as_it_is(shop, letter)
    told = shop.told(order, "paiement.echoue", "commande.annulee")
    assert told["paiement.echoue"].json["data"]["raison"] == "abandon après 3 essais"
    found = {
        again.key: again for again in (shop.outsider.get("paiement.dlq", within_seconds=20) for _ in "12") if again
    }
    again = found["stock.reserve"]
    assert (again.body, again.headers["x-saga-reason"]) == (letter.body, "exhausted")
    assert "x-death" not in again.headers
    assert broken.end() == 0

    # The order has ended. Sent back twice, with all that was ever on it, the letter does nothing any more.
    shop.start("paiement").await_ready()
    for _ in range(2):
        send_back_as_it_is(shop, letter)
    send_back_as_it_is(shop, found["commande.annulee"])
    shop.told(order, "paiement.rembourse")
    shop.told(shop.order(), "commande.creee")
    assert "paiement.effectue" not in shop.told(order)
    assert shop.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1
    assert shop.outsider.count("paiement.dlq") == 0


def test_copies_asked_for_in_headers_reach_nobody_and_are_not_kept(open_shop: Shop) -> None:
    """`CC` and `BCC` name more routing keys, past topic permissions on RabbitMQ 3: only on the same exchange."""
    keys = ["stock.reserve", "paiement.effectue", "commande.creee", "commande.annulee", "#"]
    copies: dict[str, Any] = {"CC": keys, "BCC": keys}
    order = open_shop.new_id()
    usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": 1}
    head = {"specversion": "1.0", "id": f"copies-{order}", "type": "commande.initiee", "source": "/clients/x"}
    event = {**head, "data": {"commande_id": order, **usual}}
    before = open_shop.inspect("stock")["produits"]["PROD-456"]["disponible"]
    assert open_shop.outsider.publish("client.events", "commande.initiee", event, copies)
    assert set(open_shop.told(order, *END)) == {*END, "commande.initiee"}

    assert open_shop.outsider.publish("client.events", "commande.initiee", b"no event at all", copies)
    for service in ("stock", "commande"):
        letter = open_shop.outsider.get(f"{service}.dlq", within_seconds=20)
        assert letter is not None
        assert (letter.body, {"CC", "BCC"} & set(letter.headers)) == (b"no event at all", set())
        assert open_shop.outsider.get(f"{service}.dlq") is None
    open_shop.told(open_shop.order(quantite=1), *END)
    assert open_shop.inspect("stock")["produits"]["PROD-456"]["disponible"] == before - 2
