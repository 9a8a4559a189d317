"""What is signed by its speaker is handled; anything else becomes a dead letter `signature`."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Reason, Settings
from choregraphie.dead_letters.letter import read_letter
from choregraphie.dead_letters.outgoing import edited, held, sent_back
from choregraphie.messaging import Delivery, Outgoing, Properties
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.saga.content_modes import header_attributes
from choregraphie.saga.topology import SIGNATURE_HEADER, events, requeue
from choregraphie.service.verdict import DeadLetter, RetryAfter
from choregraphie.signing import signer_for, verifier_for
from choregraphie.storage.invocation import Invocation
from services.application import APP
from services.paiement import SERVICE as PAIEMENT
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example
from tests.support.signing_keys import delivered, event, order, signed, with_keys

if TYPE_CHECKING:
    from choregraphie import Service

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_keys(tmp_path_factory.mktemp("keys"))


def decode(delivery: Delivery, settings: Settings, service: Service = STOCK) -> Invocation | DeadLetter:
    return Decoder(service, verifier_for(settings)).decode(delivery)


def refused(delivery: Delivery, settings: Settings, service: Service = STOCK) -> str:
    verdict = decode(delivery, settings, service)
    assert isinstance(verdict, DeadLetter), verdict
    assert verdict.reason is Reason.SIGNATURE
    assert "\n" not in verdict.detail
    return verdict.detail


def accepted(delivery: Delivery, settings: Settings, service: Service = STOCK) -> None:
    verdict = decode(delivery, settings, service)
    assert isinstance(verdict, Invocation), verdict


def test_an_event_signed_by_its_speaker_is_handled(settings: Settings) -> None:
    accepted(delivered(signed(order(), settings, "client")), settings)


def test_signing_adds_one_header_of_text_and_changes_no_byte(settings: Settings) -> None:
    plain = order()
    message = signed(plain, settings, "client")
    assert message._replace(headers=plain.headers) == plain
    ((name, value),) = message.headers.items()
    assert name == SIGNATURE_HEADER
    algorithm, key, signature = str(value).split(" ")
    assert (algorithm, len(key), len(base64.b64decode(signature))) == ("ed25519", 16, 64)
    assert message == signed(plain, settings, "client")  # each publication is the same


def test_an_event_that_is_not_signed_is_refused(settings: Settings) -> None:
    assert refused(delivered(order()), settings) == "it is not signed"


@pytest.mark.parametrize(
    "header", ["", "ed25519", "x" * 2000, 7, b"ed25519", "rsa 0123456789abcdef " + "A" * 86 + "=="]
)
def test_a_signature_that_cannot_be_read_is_refused(settings: Settings, header: Any) -> None:
    message = order()._replace(headers={SIGNATURE_HEADER: header})
    assert refused(delivered(message), settings) == "its signature cannot be read"


def _altered(message: Outgoing, **changes: Any) -> Outgoing:
    envelope = json.loads(message.body)
    data = envelope["data"] | {name: changes.pop(name) for name in [*changes] if name in envelope["data"]}
    return message._replace(body=json.dumps(envelope | changes | {"data": data}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "e-2"},
        {"type": "commande.annulation_demandee"},
        {"source": "/clients/another"},
        {"time": "2020-01-01T00:00:00Z"},
        {"commande_id": "CMD-2"},
        {"montant": 0.01},
        {"causationid": "e-0"},
    ],
)
def test_whatever_is_altered_the_signature_does_not_match(settings: Settings, change: dict[str, Any]) -> None:
    altered = _altered(signed(order(), settings, "client"), **change)
    assert "altered or forged" in refused(delivered(altered), settings)


def test_the_signature_of_one_event_is_none_of_another(settings: Settings) -> None:
    headers = signed(order(), settings, "client").headers
    another = order(commande_id="CMD-2")._replace(headers=headers)
    assert "altered or forged" in refused(delivered(another), settings)


def test_the_record_of_an_operator_is_no_event(settings: Settings) -> None:
    """A signature of one kind must not be taken for one of the other."""
    record = signed(order()._replace(exchange="saga.operators"), settings, "client")
    assert "altered or forged" in refused(delivered(record, exchange="client.events"), settings)


def test_a_key_that_nobody_knows_is_refused(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    stranger = with_keys(tmp_path_factory.mktemp("stranger"))
    assert "no public key here" in refused(delivered(signed(order(), stranger, "client")), settings)


def test_a_service_signs_for_no_other_service(settings: Settings) -> None:
    """Also when the broker lets it publish by the other's exchange."""
    assert refused(delivered(signed(order(), settings, "paiement")), settings) == (
        "commande.initiee is said by client, and paiement has signed it"
    )


def test_another_exchange_than_the_speaker_s_is_still_a_wrong_sender(settings: Settings) -> None:
    message = signed(order(), settings, "client")
    verdict = decode(delivered(message, exchange=events("stock")), settings)
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.WRONG_SENDER


def test_an_old_event_that_is_sent_again_is_refused(settings: Settings) -> None:
    """Its service has forgotten it, and it would have its effect twice."""
    long_ago = _altered(order(), time="2020-01-01T00:00:00Z")
    assert "SAGA_INBOX_DAYS" in refused(delivered(signed(long_ago, settings, "client")), settings)
    timeless = json.loads(order().body)
    del timeless["time"]
    message = signed(order()._replace(body=json.dumps(timeless).encode()), settings, "client")
    assert "it has no time" in refused(delivered(message), settings)


def test_nothing_of_an_unsigned_message_is_parsed(settings: Settings) -> None:
    assert refused(delivered(order()._replace(body=b"[" * 100_000)), settings) == "it is not signed"


def test_a_retry_keeps_the_signature_and_its_own_headers_are_not_covered(settings: Settings) -> None:
    first = delivered(signed(order(), settings, "client"))
    retry = for_another_try(first, RetryAfter(1, 1, "why"), "stock", 1000, NOON)
    back = delivered(retry, exchange=requeue("stock"))
    assert {"x-saga-attempt", SIGNATURE_HEADER} <= retry.headers.keys()
    accepted(back, settings)


def dead_letter(settings: Settings) -> Delivery:
    first = delivered(signed(order(), settings, "client"))
    return delivered(set_aside(first, DeadLetter(Reason.EXHAUSTED, "x"), "stock", NOON))


def test_a_dead_letter_that_is_sent_back_keeps_the_signature(settings: Settings) -> None:
    letter = delivered(
        set_aside(delivered(signed(order(), settings, "client")), DeadLetter(Reason.EXHAUSTED, "x"), "stock", NOON)
    )
    accepted(delivered(sent_back(letter, "stock", by="x", at=NOON)), settings)
    kept = held(letter, read_letter(letter, "stock", APP.saga_set), "x")
    accepted(delivered(sent_back(delivered(kept), "stock", by="x", at=NOON)), settings)


def test_an_edited_letter_is_signed_by_the_operator(settings: Settings) -> None:
    letter = delivered(
        set_aside(delivered(signed(order(), settings, "client")), DeadLetter(Reason.EXHAUSTED, "x"), "stock", NOON)
    )
    read = read_letter(letter, "stock", APP.saga_set)
    other = _altered(order(), quantite=1).body
    unsigned = edited(letter, read, other, "x")
    assert "altered" in refused(delivered(sent_back(delivered(unsigned), "stock", by="x", at=NOON)), settings)
    by_operator = edited(letter, read, other, "x", signer_for(settings, "ops"))
    back = delivered(sent_back(delivered(by_operator), "stock", by="x", at=NOON))
    accepted(back, settings)
    # To all services at once an operator says nothing of others.
    assert "ops has signed it" in refused(
        back._replace(exchange=events("client"), routing_key="commande.initiee"), settings
    )


def test_the_answer_that_an_operator_gives_for_a_service_is_signed_by_the_operator(settings: Settings) -> None:
    data = example("stock.reserve")["data"]
    said = event("stock", "stock.reserve", "/services/stock/operators/alice@ops-1", **data)
    accepted(delivered(signed(said, settings, "ops")), settings, PAIEMENT)
    plain = event("stock", "stock.reserve", **data)
    assert "ops has signed it" in refused(delivered(signed(plain, settings, "ops")), settings, PAIEMENT)


def test_binary_mode_is_signed_with_its_attributes(settings: Settings) -> None:
    structured = json.loads(order().body)
    data = json.dumps(structured.pop("data")).encode()
    headers = {f"cloudEvents:{name}": value for name, value in structured.items()}
    plain = Outgoing(
        "client.events", "commande.initiee", data, Properties("e-1", content_type="application/json"), headers
    )
    message = signed(plain, settings, "client")
    assert header_attributes(message.headers) == header_attributes(plain.headers)
    accepted(delivered(message), settings)
    retry = for_another_try(delivered(message), RetryAfter(1, 1, "why"), "stock", 1000, NOON)
    accepted(delivered(retry, exchange=requeue("stock")), settings)
    changed = message._replace(headers={**message.headers, "cloudEvents:id": "e-2"})
    assert "altered or forged" in refused(delivered(changed), settings)


def test_without_the_setting_nothing_is_signed_and_everything_is_believed() -> None:
    assert signer_for(Settings(), "stock") is None
    assert verifier_for(Settings()) is None
    accepted(delivered(order()), Settings())
