"""Every kind of order, from commande.initiee to its end, heard from the outside by a client of another make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.workers import paused, until

if TYPE_CHECKING:
    from tests.support.foreign_client import Heard
    from tests.support.saga_fixture import Shop

CREATED = {
    "stock.reserve": "commande.initiee",
    "paiement.effectue": "stock.reserve",
    "commande.creee": "paiement.effectue",
    "notification.envoyee": "commande.creee",
}
UNDONE = {
    "stock.libere": "commande.annulee",
    "paiement.rembourse": "commande.annulee",
    "notification.envoyee": "commande.annulee",
}


def follow(shop: Shop, commande_id: str, causes: dict[str, str]) -> dict[str, Heard]:
    """Wait for exactly these events, each in answer to that one, and look at each from the outside."""
    told = shop.told(commande_id, *causes)
    assert set(told) - {"commande.annulation_demandee"} == {*causes, "commande.initiee"}
    ids = {told[type_].json["id"]: type_ for type_ in told}
    for type_, cause in causes.items():
        message = told[type_]
        assert ids[message.json["causationid"]] == cause, type_
        look_at(message, commande_id)
    return told


def look_at(message: Heard, commande_id: str) -> None:
    """The wire: exchange, envelope and AMQP properties agree."""
    event, properties = message.json, message.properties
    service = message.exchange.removesuffix(".events")
    assert event["source"] == f"/services/{service}"
    assert event["type"] == message.key == properties.type
    assert event["subject"] == event["correlationid"] == properties.correlation_id == commande_id
    assert (event["specversion"], event["datacontenttype"]) == ("1.0", "application/json")
    assert event["dataschema"] == f"urn:choregraphie:{message.key}:1"
    assert event["time"].endswith("Z")
    assert (properties.message_id, properties.app_id) == (event["id"], service)
    assert (properties.content_type, properties.delivery_mode) == ("application/cloudevents+json", 2)
    assert properties.timestamp
    assert not any(name.startswith("x-") for name in message.headers)


def books(shop: Shop, produit_id: str, client_id: str) -> tuple[dict[str, int], float]:
    """What is on the shelf, and on the account."""
    stock, paiement = shop.inspect_each("stock", "paiement")
    return stock["produits"][produit_id], paiement["comptes"][client_id]["solde"]


def data(told: dict[str, Heard], type_: str) -> Any:
    return told[type_].json["data"]


def test_an_order_is_created(open_shop: Shop) -> None:
    before, money = books(open_shop, "PROD-789", "CLIENT-789")
    messages = open_shop.inspect("notification")["messages"]
    order = open_shop.order(client_id="CLIENT-789", produit_id="PROD-789", quantite=2, montant=99.99)
    told = follow(open_shop, order, CREATED)
    expected = {"quantite": 2, "montant": 99.99, "produit_id": "PROD-789"}
    assert data(told, "stock.reserve").items() >= expected.items()
    assert data(told, "paiement.effectue")["montant"] == 99.99
    assert data(told, "notification.envoyee")["modele"] == "confirmation"
    sold = before | {"disponible": before["disponible"] - 2, "vendu": before["vendu"] + 2}
    until(lambda: books(open_shop, "PROD-789", "CLIENT-789")[0] == sold, "two sold")
    assert books(open_shop, "PROD-789", "CLIENT-789")[1] == pytest.approx(money - 99.99)
    assert open_shop.inspect("notification")["messages"]["confirmation"] == messages["confirmation"] + 1


def test_a_raw_message_with_nothing_but_a_content_type_is_an_order(open_shop: Shop) -> None:
    body = (
        b'{"specversion":"1.0","id":"raw-1","type":"commande.initiee","source":"/clients/brut","data":'
        b'{"commande_id":"BRUT-1","client_id":"CLIENT-123","produit_id":"PROD-456","quantite":1,"montant":10}}'
    )
    assert open_shop.outsider.publish("client.events", "commande.initiee", body, content_type="application/json")
    follow(open_shop, "BRUT-1", CREATED)


@pytest.mark.parametrize(
    ("ordered", "raison"),
    [
        ({"produit_id": "PROD-999", "quantite": 5}, "stock insuffisant : 3 disponibles, 5 demandés"),
        ({"produit_id": "PROD-000"}, "produit inconnu"),
    ],
)
def test_an_order_refused_by_stock_is_cancelled(open_shop: Shop, ordered: dict[str, Any], raison: str) -> None:
    causes = {
        "stock.reservation_echouee": "commande.initiee",
        "commande.annulee": "stock.reservation_echouee",
        **UNDONE,
    }
    told = follow(open_shop, open_shop.order(**ordered), causes)
    assert data(told, "commande.annulee")["raison"] == raison
    assert data(told, "stock.libere")["reservation_id"] is None
    assert data(told, "paiement.rembourse").items() >= {"transaction_id": None, "montant": 0}.items()
    assert data(told, "notification.envoyee")["modele"] == "annulation"


@pytest.mark.parametrize(
    ("ordered", "raison"),
    [
        ({"client_id": "CLIENT-999", "montant": 49.99}, "solde insuffisant"),
        ({"client_id": "CLIENT-000"}, "client inconnu"),
    ],
)
def test_an_order_refused_by_payment_is_undone(open_shop: Shop, ordered: dict[str, Any], raison: str) -> None:
    before = books(open_shop, "PROD-123", "CLIENT-999")
    order = open_shop.order(produit_id="PROD-123", **ordered)
    causes = {
        "stock.reserve": "commande.initiee",
        "paiement.echoue": "stock.reserve",
        "commande.annulee": "paiement.echoue",
        **UNDONE,
    }
    told = follow(open_shop, order, causes)
    assert data(told, "commande.annulee")["raison"] == raison
    assert data(told, "stock.libere")["reservation_id"] == data(told, "stock.reserve")["reservation_id"]
    assert data(told, "paiement.rembourse")["montant"] == 0
    assert books(open_shop, "PROD-123", "CLIENT-999") == before


def test_an_order_refused_at_creation_is_undone_money_included(open_shop: Shop) -> None:
    before = books(open_shop, "PROD-123", "CLIENT-666")
    order = open_shop.order(client_id="CLIENT-666", produit_id="PROD-123", montant=50)
    causes = {
        "stock.reserve": "commande.initiee",
        "paiement.effectue": "stock.reserve",
        "commande.annulee": "paiement.effectue",
        **UNDONE,
    }
    told = follow(open_shop, order, causes)
    assert data(told, "commande.annulee")["raison"] == "client bloqué"
    assert data(told, "paiement.rembourse")["transaction_id"] == data(told, "paiement.effectue")["transaction_id"]
    assert data(told, "paiement.rembourse")["montant"] == 50
    assert books(open_shop, "PROD-123", "CLIENT-666") == before


def test_an_order_cancelled_by_the_customer_after_creation_is_undone_and_corrected(open_shop: Shop) -> None:
    before = books(open_shop, "PROD-123", "CLIENT-456")
    order = open_shop.order(client_id="CLIENT-456", produit_id="PROD-123")
    follow(open_shop, order, CREATED)
    open_shop.cancel(order)
    ear = open_shop.ear
    ear.until(
        lambda heard: sum(m.key == "notification.envoyee" and m.json["subject"] == order for m in heard) == 2
    )
    ear.until(
        lambda heard: {"stock.libere", "paiement.rembourse"} <= {m.key for m in heard if order in str(m.body)}
    )
    mine = [m.json for m in ear.heard if m.json["data"]["commande_id"] == order]
    cancelled = next(event for event in mine if event["type"] == "commande.annulee")
    demand = next(event for event in mine if event["type"] == "commande.annulation_demandee")
    assert cancelled["causationid"] == demand["id"]
    answers = {event["type"]: event for event in mine if event.get("causationid") == cancelled["id"]}
    assert set(answers) == set(UNDONE)
    assert answers["notification.envoyee"]["data"]["modele"] == "rectificatif"
    assert answers["paiement.rembourse"]["data"]["montant"] == 99.99
    assert books(open_shop, "PROD-123", "CLIENT-456") == before


def test_a_demand_to_cancel_that_comes_before_the_order_cancels_it(open_shop: Shop) -> None:
    before = books(open_shop, "PROD-789", "CLIENT-456")
    order = open_shop.new_id()
    open_shop.cancel(order)
    open_shop.order(order, client_id="CLIENT-456", produit_id="PROD-789")
    told = open_shop.told(order, "commande.annulee", *UNDONE)
    assert told["commande.annulee"].json["causationid"] == told["commande.initiee"].json["id"]
    assert "commande.creee" not in told
    quiet(open_shop)
    assert books(open_shop, "PROD-789", "CLIENT-456") == before


def test_an_order_cancelled_while_its_payment_is_held_up_takes_no_money(open_shop: Shop) -> None:
    before = books(open_shop, "PROD-789", "CLIENT-456")
    with paused(open_shop.workers["paiement"]):
        order = open_shop.order(client_id="CLIENT-456", produit_id="PROD-789")
        open_shop.told(order, "stock.reserve")
        open_shop.cancel(order)
        early = open_shop.told(order, "commande.annulee", "stock.libere", "notification.envoyee")
        assert "paiement.rembourse" not in early
    told = open_shop.told(order, "paiement.rembourse")
    assert data(told, "commande.annulee")["raison"] == "changement d'avis"
    assert "commande.creee" not in told
    quiet(open_shop)
    assert books(open_shop, "PROD-789", "CLIENT-456") == before


def quiet(shop: Shop) -> None:
    """Another order goes all the way: whatever was before it in the queues has been dealt with."""
    shop.told(shop.order(), *CREATED)
