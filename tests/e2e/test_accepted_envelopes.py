"""An order is accepted in every form that CloudEvents and JSON allow, also those our clients do not use."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


@pytest.mark.parametrize(
    "attributes",
    [
        {"time": "2016-12-31T23:59:60Z"},
        {"time": "2017-01-01T00:59:60.5+01:00"},
        {"time": "2026-11-22 18:47:00.123456789z"},
        {"datacontenttype": "application/json; charset=utf-8"},
        {"datacontenttype": 'Application/JSON ; charset="UTF-8"'},
        {"datacontenttype": "application/vnd.boutique+json"},
        {"datacontenttype": None, "dataschema": None, "data_base64": None, "traceparent": "x", "sequence": "7"},
    ],
)
def test_every_envelope_that_cloudevents_allows_is_accepted(
    running_saga: SagaFixture, attributes: dict[str, Any]
) -> None:
    order = running_saga.new_id()
    data = {"commande_id": order, "client_id": "CLIENT-123", "produit_id": "PROD-456"}
    running_saga.publish("commande.initiee", {**data, "quantite": 2.0, "montant": 1e2}, **attributes)
    published = running_saga.await_events(order, "commande.creee", "notification.envoyee")
    assert published["stock.reserve"].json["data"]["quantite"] == 2
    assert published["paiement.effectue"].json["data"]["montant"] == 100
    assert published["stock.reserve"].json["datacontenttype"] == "application/json"


def test_a_compressed_order_is_set_aside_with_its_encoding(running_saga: SagaFixture) -> None:
    body = gzip.compress(json.dumps({"specversion": "1.0"}).encode())
    encoded: dict[str, Any] = {"content_type": "application/json", "content_encoding": "gzip"}
    assert running_saga.foreign_client.publish("client.events", "commande.initiee", body, **encoded)
    for service in ("stock", "commande"):
        dead_letter = running_saga.foreign_client.get(f"{service}.dlq", within_seconds=90)
        assert dead_letter is not None
        assert (dead_letter.body, dead_letter.properties.content_encoding) == (body, "gzip")
        assert dead_letter.headers["x-saga-reason"] == "unreadable"
        assert "content encoding is gzip" in dead_letter.headers["x-saga-detail"]
