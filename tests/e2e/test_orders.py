"""Every kind of order, from commande.initiee to its end, as a foreign client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.saga_fixture import is_about
from tests.support.workers import paused, until

if TYPE_CHECKING:
    from tests.support.foreign_client import ReceivedMessage
    from tests.support.saga_fixture import SagaFixture

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


def follow(saga: SagaFixture, commande_id: str, causes: dict[str, str]) -> dict[str, ReceivedMessage]:
    """Wait for these events and no others, each caused by the one that `causes` names, and check each envelope."""
    published = saga.await_events(commande_id, *causes)
    assert set(published) - {"commande.annulation_demandee"} == {*causes, "commande.initiee"}
    ids = {published[type_].json["id"]: type_ for type_ in published}
    for type_, cause in causes.items():
        message = published[type_]
        assert ids[message.json["causationid"]] == cause, type_
        check_envelope(message, commande_id)
    return published


def check_envelope(message: ReceivedMessage, commande_id: str) -> None:
    """Check that exchange, envelope and AMQP properties agree."""
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


def stock_and_balance(saga: SagaFixture, produit_id: str, client_id: str) -> tuple[dict[str, int], float]:
    """The stock of the product, and the balance of the client."""
    stock, paiement = saga.inspect_each("stock", "paiement")
    return stock["produits"][produit_id], paiement["comptes"][client_id]["solde"]


def data(published: dict[str, ReceivedMessage], type_: str) -> Any:
    return published[type_].json["data"]


def test_an_order_is_created(running_saga: SagaFixture) -> None:
    before, money = stock_and_balance(running_saga, "PROD-789", "CLIENT-789")
    messages = running_saga.inspect("notification")["messages"]
    order = running_saga.order(client_id="CLIENT-789", produit_id="PROD-789", quantite=2, montant=99.99)
    published = follow(running_saga, order, CREATED)
    expected = {"quantite": 2, "montant": 99.99, "produit_id": "PROD-789"}
    assert data(published, "stock.reserve").items() >= expected.items()
    assert data(published, "paiement.effectue")["montant"] == 99.99
    assert data(published, "notification.envoyee")["modele"] == "confirmation"
    sold = before | {"disponible": before["disponible"] - 2, "vendu": before["vendu"] + 2}
    until(lambda: stock_and_balance(running_saga, "PROD-789", "CLIENT-789")[0] == sold, "two sold")
    assert stock_and_balance(running_saga, "PROD-789", "CLIENT-789")[1] == pytest.approx(money - 99.99)
    assert running_saga.inspect("notification")["messages"]["confirmation"] == messages["confirmation"] + 1


def test_a_raw_message_with_nothing_but_a_content_type_is_an_order(running_saga: SagaFixture) -> None:
    body = (
        b'{"specversion":"1.0","id":"raw-1","type":"commande.initiee","source":"/clients/brut","data":'
        b'{"commande_id":"BRUT-1","client_id":"CLIENT-123","produit_id":"PROD-456","quantite":1,"montant":10}}'
    )
    assert running_saga.foreign_client.publish(
        "client.events", "commande.initiee", body, content_type="application/json"
    )
    follow(running_saga, "BRUT-1", CREATED)


@pytest.mark.parametrize(
    ("ordered", "raison"),
    [
        ({"produit_id": "PROD-999", "quantite": 5}, "stock insuffisant : 3 disponibles, 5 demandés"),
        ({"produit_id": "PROD-000"}, "produit inconnu"),
    ],
)
def test_an_order_refused_by_stock_is_cancelled(
    running_saga: SagaFixture, ordered: dict[str, Any], raison: str
) -> None:
    causes = {
        "stock.reservation_echouee": "commande.initiee",
        "commande.annulee": "stock.reservation_echouee",
        **UNDONE,
    }
    published = follow(running_saga, running_saga.order(**ordered), causes)
    assert data(published, "commande.annulee")["raison"] == raison
    assert data(published, "stock.libere")["reservation_id"] is None
    assert data(published, "paiement.rembourse").items() >= {"transaction_id": None, "montant": 0}.items()
    assert data(published, "notification.envoyee")["modele"] == "annulation"


@pytest.mark.parametrize(
    ("ordered", "raison"),
    [
        ({"client_id": "CLIENT-999", "montant": 49.99}, "solde insuffisant"),
        ({"client_id": "CLIENT-000"}, "client inconnu"),
    ],
)
def test_an_order_refused_by_payment_is_undone(
    running_saga: SagaFixture, ordered: dict[str, Any], raison: str
) -> None:
    before = stock_and_balance(running_saga, "PROD-123", "CLIENT-999")
    order = running_saga.order(produit_id="PROD-123", **ordered)
    causes = {
        "stock.reserve": "commande.initiee",
        "paiement.echoue": "stock.reserve",
        "commande.annulee": "paiement.echoue",
        **UNDONE,
    }
    published = follow(running_saga, order, causes)
    assert data(published, "commande.annulee")["raison"] == raison
    assert data(published, "stock.libere")["reservation_id"] == data(published, "stock.reserve")["reservation_id"]
    assert data(published, "paiement.rembourse")["montant"] == 0
    assert stock_and_balance(running_saga, "PROD-123", "CLIENT-999") == before


def test_an_order_refused_at_creation_is_undone_and_refunded(running_saga: SagaFixture) -> None:
    before = stock_and_balance(running_saga, "PROD-123", "CLIENT-666")
    order = running_saga.order(client_id="CLIENT-666", produit_id="PROD-123", montant=50)
    causes = {
        "stock.reserve": "commande.initiee",
        "paiement.effectue": "stock.reserve",
        "commande.annulee": "paiement.effectue",
        **UNDONE,
    }
    published = follow(running_saga, order, causes)
    assert data(published, "commande.annulee")["raison"] == "client bloqué"
    assert (
        data(published, "paiement.rembourse")["transaction_id"]
        == data(published, "paiement.effectue")["transaction_id"]
    )
    assert data(published, "paiement.rembourse")["montant"] == 50
    assert stock_and_balance(running_saga, "PROD-123", "CLIENT-666") == before


def test_an_order_that_the_customer_cancels_after_creation_is_undone(
    running_saga: SagaFixture,
) -> None:
    before = stock_and_balance(running_saga, "PROD-123", "CLIENT-456")
    order = running_saga.order(client_id="CLIENT-456", produit_id="PROD-123")
    follow(running_saga, order, CREATED)
    running_saga.cancel(order)
    subscription = running_saga.subscription
    subscription.until(
        lambda received: sum(m.key == "notification.envoyee" and m.json["subject"] == order for m in received) == 2
    )
    subscription.until(
        lambda received: {"stock.libere", "paiement.rembourse"} <= {m.key for m in received if is_about(m, order)}
    )
    # The messages of other tests on this broker include some that are no JSON.
    mine = [m.json for m in subscription.received if is_about(m, order)]
    cancelled = next(event for event in mine if event["type"] == "commande.annulee")
    demand = next(event for event in mine if event["type"] == "commande.annulation_demandee")
    assert cancelled["causationid"] == demand["id"]
    answers = {event["type"]: event for event in mine if event.get("causationid") == cancelled["id"]}
    assert set(answers) == set(UNDONE)
    assert answers["notification.envoyee"]["data"]["modele"] == "rectificatif"
    assert answers["paiement.rembourse"]["data"]["montant"] == 99.99
    assert stock_and_balance(running_saga, "PROD-123", "CLIENT-456") == before


def test_a_cancellation_request_that_arrives_before_its_order_cancels_it(running_saga: SagaFixture) -> None:
    before = stock_and_balance(running_saga, "PROD-789", "CLIENT-456")
    order = running_saga.new_id()
    running_saga.cancel(order)
    running_saga.order(order, client_id="CLIENT-456", produit_id="PROD-789")
    published = running_saga.await_events(order, "commande.annulee", *UNDONE)
    assert published["commande.annulee"].json["causationid"] == published["commande.initiee"].json["id"]
    assert "commande.creee" not in published
    await_quiet(running_saga)
    assert stock_and_balance(running_saga, "PROD-789", "CLIENT-456") == before


def test_an_order_cancelled_before_its_payment_takes_no_money(running_saga: SagaFixture) -> None:
    before = stock_and_balance(running_saga, "PROD-789", "CLIENT-456")
    with paused(running_saga.workers["paiement"]):
        order = running_saga.order(client_id="CLIENT-456", produit_id="PROD-789")
        running_saga.await_events(order, "stock.reserve")
        running_saga.cancel(order)
        early = running_saga.await_events(order, "commande.annulee", "stock.libere", "notification.envoyee")
        assert "paiement.rembourse" not in early
    published = running_saga.await_events(order, "paiement.rembourse")
    assert data(published, "commande.annulee")["raison"] == "changement d'avis"
    assert "commande.creee" not in published
    await_quiet(running_saga)
    assert stock_and_balance(running_saga, "PROD-789", "CLIENT-456") == before


def await_quiet(saga: SagaFixture) -> None:
    """Wait until an order placed now has ended: everything before it in the queues has been handled then."""
    saga.await_events(saga.order(), *CREATED)
