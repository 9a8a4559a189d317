"""The way by which a message came names its sender and counts its tries, whatever the message claims."""

import json
from typing import Any

import pytest

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation
from services.commande import SERVICE as COMMANDE
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example
from tests.support.decoding import GOOD, TYPE, but, decode, reason


@pytest.mark.parametrize("exchange", ["stock.events", "commande.events", "", "amq.topic", "stock.retry"])
def test_an_event_by_the_exchange_of_another_sender_is_refused(exchange: str) -> None:
    assert reason(GOOD, exchange=exchange) is Reason.WRONG_SENDER


@pytest.mark.parametrize("source", ["/services/stock", "/services/commande", "/autre", "/"])
def test_an_event_with_the_source_of_another_sender_is_refused(source: str) -> None:
    assert reason(but(source=source)) is Reason.WRONG_SENDER


def test_a_client_cannot_publish_the_event_of_a_service() -> None:
    paid = json.dumps(example("paiement.effectue")).encode()
    assert isinstance(decode(paid, exchange="paiement.events", service=COMMANDE), Invocation)
    assert reason(paid, exchange="client.events", service=COMMANDE) is Reason.WRONG_SENDER
    forged = json.dumps(example("paiement.effectue") | {"source": "/clients/x"}).encode()
    assert reason(forged, exchange="client.events", service=COMMANDE) is Reason.WRONG_SENDER


def test_a_redelivered_message_is_checked_by_its_first_exchange() -> None:
    assert isinstance(decode(GOOD, exchange="stock.requeue"), Invocation)
    assert reason(GOOD, exchange="commande.requeue") is Reason.WRONG_SENDER


def test_an_event_with_another_routing_key_is_refused() -> None:
    verdict = Decoder(STOCK).decode(Delivery(1, GOOD, "client.events", "commande.annulee"))
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.INVALID
    came_back = Delivery(
        1, GOOD, "stock.requeue", f"5.{TYPE}", ContentHeader({"x-saga-exchange": "client.events"})
    )
    assert isinstance(Decoder(STOCK).decode(came_back), Invocation)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (but(dataschema="urn:other:1"), Reason.UNKNOWN_VERSION),
        (but(type="stock.libere"), Reason.UNKNOWN_TYPE),
        (but(subject="CMD-2"), Reason.SUBJECT_MISMATCH),
        (but(specversion="0.3", type="stock.libere"), Reason.INVALID),
        (but(id="", dataschema="urn:other:1"), Reason.UNKNOWN_VERSION),
    ],
)
@pytest.mark.parametrize("routing_key", [TYPE, "commande.annulee", "unknown"])
def test_what_is_wrong_does_not_depend_on_the_routing_key(body: bytes, why: Reason, routing_key: str) -> None:
    verdict = Decoder(STOCK).decode(Delivery(1, body, "client.events", routing_key))
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is why


def test_tries_are_counted_on_redelivered_messages_only() -> None:
    """Any sender can set the header of a first delivery."""
    forged = decode(GOOD, attempt=7)
    assert isinstance(forged, Invocation)
    assert forged.attempt == 1
    returned = decode(GOOD, "stock.requeue", attempt=2)
    assert isinstance(returned, Invocation)
    assert returned.attempt == 3


@pytest.mark.parametrize("header", ["7", -1, 0, None, [1], {"a": 1}, 1.5, b"2"])
def test_an_invalid_count_is_a_first_try(header: Any) -> None:
    invocation = decode(GOOD, "stock.requeue", attempt=header)
    assert isinstance(invocation, Invocation)
    assert invocation.attempt == 1
