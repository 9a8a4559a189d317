"""Bad input becomes a dead letter with its bytes and a reason, and repetitions have no effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.foreign_client import ReceivedMessage
    from tests.support.saga_fixture import SagaFixture

GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "bad-1",
    "type": "commande.initiee",
    "source": "/clients/dehors",
    "data": {
        "commande_id": "BAD",
        "client_id": "CLIENT-123",
        "produit_id": "PROD-456",
        "quantite": 1,
        "montant": 1.5,
    },
}
END = ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee")


def but(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def with_data(**changes: Any) -> bytes:
    return but(data=GOOD["data"] | changes)


BAD_MESSAGES = {
    "not JSON": (b"\xff\xfe\x00", "unreadable"),
    "empty": (b"", "unreadable"),
    "truncated": (but()[:-20], "unreadable"),
    "too deep": (b"[" * 100_000, "unreadable"),
    "too large": (with_data(produit_id="x" * 300_000), "too_large"),
    "unknown type": (but(type="commande.rangee"), "unknown_type"),
    "unknown version": (but(dataschema="urn:choregraphie:commande.initiee:9"), "unknown_version"),
    "a field missing": (but(data={"commande_id": "BAD"}), "invalid"),
    "a wrong type": (with_data(quantite="deux"), "invalid"),
    "a negative quantity": (with_data(quantite=-1), "invalid"),
    "NUL": (with_data(client_id="a\x00b"), "invalid"),
    "about another order": (but(subject="CMD-X"), "subject_mismatch"),
    "a wrong sender": (but(source="/services/stock"), "wrong_sender"),
}


def take_dead_letter(saga: SagaFixture, queue: str) -> ReceivedMessage:
    dead_letter = saga.foreign_client.get(queue, within_seconds=90)
    assert dead_letter is not None, f"nothing in {queue}"
    return dead_letter


@pytest.mark.parametrize(("body", "reason"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_message_becomes_a_dead_letter_with_its_bytes_and_the_reason(
    running_saga: SagaFixture, body: bytes, reason: str
) -> None:
    headers = {"x-death": [{"queue": "elsewhere", "count": 3}], "x-saga-attempt": 4, "mine": "secret"}
    assert running_saga.foreign_client.publish(
        "client.events", "commande.initiee", body, headers, content_type="text/plain"
    )
    for service in ("stock", "commande"):
        dead_letter = take_dead_letter(running_saga, f"{service}.dlq")
        assert dead_letter.body == body
        assert dead_letter.headers["x-saga-reason"] == reason
        assert dead_letter.headers["x-saga-service"] == service
        assert dead_letter.headers["x-saga-exchange"] == "client.events"
        assert dead_letter.headers["x-saga-attempt"] == 1
        assert "\n" not in dead_letter.headers["x-saga-detail"]
        assert {"x-death", "mine"}.isdisjoint(dead_letter.headers)
        assert (dead_letter.properties.delivery_mode, dead_letter.properties.content_type) == (2, "text/plain")
        assert dead_letter.key == "commande.initiee"


def test_an_order_after_bad_messages_is_created(running_saga: SagaFixture) -> None:
    for body, _ in BAD_MESSAGES.values():
        running_saga.foreign_client.publish("client.events", "commande.initiee", body)
    running_saga.await_events(running_saga.order(), *END)
    for service in ("stock", "commande"):
        assert {
            take_dead_letter(running_saga, f"{service}.dlq").headers["x-saga-reason"] for _ in BAD_MESSAGES
        } == {reason for _, reason in BAD_MESSAGES.values()}
        assert running_saga.foreign_client.get(f"{service}.dlq") is None


def test_an_event_from_the_exchange_of_another_service_is_a_dead_letter(running_saga: SagaFixture) -> None:
    """Only a service may write to its exchange, so the exchange decides who sent an event, not its bytes."""
    order = running_saga.new_id()
    forged = GOOD | {
        "id": f"forged-{order}",
        "type": "paiement.effectue",
        "source": "/services/paiement",
        "data": {"commande_id": order, "transaction_id": "T", "montant": 1},
    }
    with running_saga.bound("client.events", "commande.inbox", "paiement.effectue"):
        assert running_saga.foreign_client.publish("client.events", "paiement.effectue", forged)
        dead_letter = take_dead_letter(running_saga, "commande.dlq")
    assert (dead_letter.json, dead_letter.headers["x-saga-reason"]) == (forged, "wrong_sender")


def test_an_order_published_fifty_times_is_one_order(running_saga: SagaFixture) -> None:
    before = running_saga.inspect("stock")["produits"]["PROD-123"]["disponible"]
    order = running_saga.new_id()
    data = {
        "commande_id": order,
        "client_id": "CLIENT-123",
        "produit_id": "PROD-123",
        "quantite": 1,
        "montant": 5,
    }
    message = {"specversion": "1.0", "id": f"same-{order}", "type": "commande.initiee", "source": "/clients/x"}
    for _ in range(50):
        assert running_saga.foreign_client.publish("client.events", "commande.initiee", message | {"data": data})
    assert sorted(answers(running_saga, order)) == sorted(END)
    assert running_saga.inspect("stock")["produits"]["PROD-123"]["disponible"] == before - 1


def test_a_second_order_with_a_known_id_has_no_effect(running_saga: SagaFixture) -> None:
    before = running_saga.inspect("stock")["produits"]["PROD-123"]["disponible"]
    order = running_saga.order(produit_id="PROD-123", quantite=1)
    running_saga.await_events(order, *END)
    running_saga.order(order, produit_id="PROD-123", quantite=9)
    assert sorted(answers(running_saga, order)) == sorted(END)
    assert running_saga.inspect("stock")["produits"]["PROD-123"]["disponible"] == before - 1
    flagged = [line["journal"] for line in running_saga.workers["stock"].logged("reaction.skipped")]
    assert "done" in flagged


def test_an_event_id_with_another_body_is_a_dead_letter(running_saga: SagaFixture) -> None:
    order = running_saga.new_id()
    usual = {"commande_id": order, "client_id": "CLIENT-123", "produit_id": "PROD-456", "montant": 1}
    running_saga.publish("commande.initiee", usual | {"quantite": 1}, id=f"id-{order}")
    running_saga.publish("commande.initiee", usual | {"quantite": 2}, id=f"id-{order}")
    for service in ("stock", "commande"):
        dead_letter = take_dead_letter(running_saga, f"{service}.dlq")
        assert dead_letter.headers["x-saga-reason"] == "id_collision"
        assert dead_letter.json["data"]["quantite"] == 2
    assert sorted(answers(running_saga, order)) == sorted(END)


def answers(saga: SagaFixture, commande_id: str) -> list[str]:
    """The events that the services published about the order before an order placed now has ended."""
    saga.await_events(saga.order(), *END)
    return [
        m.key
        for m in saga.subscription.received
        if m.exchange != "client.events" and m.json["subject"] == commande_id
    ]
