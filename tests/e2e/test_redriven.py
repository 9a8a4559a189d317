"""A redriven message with `x-death` and a message with `CC` or `BCC` do no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from choregraphie.saga.topology import WORK_DELIVERY_LIMIT

if TYPE_CHECKING:
    from tests.support.foreign_client import ReceivedMessage
    from tests.support.saga_fixture import SagaFixture

UNDONE = ("commande.annulee", "stock.libere", "paiement.rembourse", "notification.envoyee")
END = ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee")


def send_back_as_it_is(saga: SagaFixture, dead_letter: ReceivedMessage) -> None:
    """Publish a dead letter again with all its headers, as a careless operator does."""
    assert saga.foreign_client.publish(
        "paiement.requeue", dead_letter.key, dead_letter.body, dead_letter.headers, delivery_mode=2
    )


def set_aside_by_the_broker(saga: SagaFixture) -> ReceivedMessage:
    """Take the message and requeue it until it exceeds the delivery limit."""
    saga.foreign_client.refuse("paiement.inbox", WORK_DELIVERY_LIMIT + 1)
    dead_letter = saga.foreign_client.get("paiement.dlq", within_seconds=90)
    assert dead_letter is not None
    assert dead_letter.headers["x-death"][0]["queue"] == "paiement.inbox"
    return dead_letter


def test_a_dead_letter_redriven_with_its_x_death_passes_its_retries(
    stopped_saga: SagaFixture,
) -> None:
    """RabbitMQ 3 drops a message that a retry queue dead-letters to a queue that its `x-death` names."""
    saga = stopped_saga
    saga.start("stock", "commande", "notification").await_ready()
    saga.subscription = saga.foreign_client.subscribe(
        *(f"{name}.events" for name in ("client", "stock", "paiement", "commande"))
    )
    order = saga.order()
    saga.await_events(order, "stock.reserve")
    dead_letter = set_aside_by_the_broker(saga)

    broken = saga.start("paiement", gateway_failure_rate=1)
    broken.await_ready()
    send_back_as_it_is(saga, dead_letter)
    published = saga.await_events(order, "paiement.echoue", "commande.annulee")
    assert published["paiement.echoue"].json["data"]["raison"] == "abandon après 3 essais"
    found = {
        again.key: again
        for again in (saga.foreign_client.get("paiement.dlq", within_seconds=90) for _ in "12")
        if again
    }
    again = found["stock.reserve"]
    assert (again.body, again.headers["x-saga-reason"]) == (dead_letter.body, "exhausted")
    assert "x-death" not in again.headers
    assert broken.end() == 0

    # The order has ended: redriven twice with all its headers, the dead letter has no effect any more.
    saga.start("paiement").await_ready()
    for _ in range(2):
        send_back_as_it_is(saga, dead_letter)
    send_back_as_it_is(saga, found["commande.annulee"])
    saga.await_events(order, "paiement.rembourse")
    saga.await_events(saga.order(), "commande.creee")
    assert "paiement.effectue" not in saga.await_events(order)
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1
    assert saga.foreign_client.count("paiement.dlq") == 0


def test_cc_and_bcc_headers_deliver_no_copies_and_are_not_kept(running_saga: SagaFixture) -> None:
    """`CC` and `BCC` add routing keys on the same exchange, and bypass topic permissions on RabbitMQ 3."""
    keys = ["stock.reserve", "paiement.effectue", "commande.creee", "commande.annulee", "#"]
    copies: dict[str, Any] = {"CC": keys, "BCC": keys}
    order = running_saga.new_id()
    usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": 1}
    head = {"specversion": "1.0", "id": f"copies-{order}", "type": "commande.initiee", "source": "/clients/x"}
    event = {**head, "data": {"commande_id": order, **usual}}
    before = running_saga.inspect("stock")["produits"]["PROD-456"]["disponible"]
    assert running_saga.foreign_client.publish("client.events", "commande.initiee", event, copies)
    assert set(running_saga.await_events(order, *END)) == {*END, "commande.initiee"}

    assert running_saga.foreign_client.publish("client.events", "commande.initiee", b"no event at all", copies)
    for service in ("stock", "commande"):
        dead_letter = running_saga.foreign_client.get(f"{service}.dlq", within_seconds=90)
        assert dead_letter is not None
        assert (dead_letter.body, {"CC", "BCC"} & set(dead_letter.headers)) == (b"no event at all", set())
        assert running_saga.foreign_client.get(f"{service}.dlq") is None
    running_saga.await_events(running_saga.order(quantite=1), *END)
    assert running_saga.inspect("stock")["produits"]["PROD-456"]["disponible"] == before - 2
