"""Clients do not know one another, so two of them may use the same event id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_bad_messages import END, take_dead_letter
from tests.support.saga_fixture import is_about

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture

ALPHA, BETA = "/clients/alpha", "/clients/beta"


def order(saga: SagaFixture, id: str, source: str, commande_id: str | None = None, **data: Any) -> str:
    commande_id = commande_id or saga.new_id()
    usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": 1}
    saga.publish("commande.initiee", {"commande_id": commande_id, **usual, **data}, id=id, source=source)
    return commande_id


@pytest.mark.parametrize(
    "others", [BETA, "/clients/Alpha", "/clients/alpha/", "/clients/" + "a" * 191], ids=lambda source: source[:20]
)
def test_two_clients_may_order_under_the_same_event_id(running_saga: SagaFixture, others: str) -> None:
    id_ = f"1 of {others}"[:40]
    first, second = order(running_saga, id_, ALPHA), order(running_saga, id_, others)
    published = [running_saga.await_events(commande_id, *END) for commande_id in (first, second)]
    reserved = [events["stock.reserve"].json for events in published]
    assert len({event["id"] for event in reserved}) == 2
    assert len({event["data"]["reservation_id"] for event in reserved}) == 2
    assert [event["causationid"] for event in reserved] == [id_, id_]


def test_a_cancellation_may_have_the_event_id_of_another_clients_order(running_saga: SagaFixture) -> None:
    commande_id = order(running_saga, "one-id", ALPHA)
    running_saga.await_events(commande_id, *END[:-1])
    demand = {"commande_id": commande_id, "raison": "changement d'avis"}
    running_saga.publish("commande.annulation_demandee", demand, id="one-id", source=BETA)
    wanted = {"commande.annulee", "stock.libere", "paiement.rembourse"}
    running_saga.subscription.until(
        lambda received: wanted <= {one.key for one in received if is_about(one, commande_id)}, 20
    )


def test_a_client_may_use_the_event_id_of_a_service(running_saga: SagaFixture) -> None:
    published = running_saga.await_events(order(running_saga, "said-before", ALPHA), *END)
    again = order(running_saga, published["stock.reserve"].json["id"], BETA)
    running_saga.await_events(again, *END)


def test_a_second_order_under_the_same_source_and_id_is_a_dead_letter(running_saga: SagaFixture) -> None:
    first = order(running_saga, "used-twice", ALPHA)
    running_saga.await_events(first, *END)
    order(running_saga, "used-twice", ALPHA)
    for service in ("stock", "commande"):
        assert take_dead_letter(running_saga, f"{service}.dlq").headers["x-saga-reason"] == "id_collision"


def test_an_event_without_a_source_is_refused(running_saga: SagaFixture) -> None:
    order(running_saga, "of-nobody", "")
    for service in ("stock", "commande"):
        assert take_dead_letter(running_saga, f"{service}.dlq").headers["x-saga-reason"] == "invalid"
