"""What is read of a dead letter, and the messages that take its place."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest

from choregraphie.dead_letters.grouping import groups
from choregraphie.dead_letters.letter import first_exchange_of, read_letter
from choregraphie.dead_letters.outgoing import edited, held, sent_back
from choregraphie.dead_letters.selection import Selection
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, Properties
from choregraphie.saga.saga_set import SagaSet
from contracts.choreography import CHOREOGRAPHY

SAGAS = SagaSet((CHOREOGRAPHY,))
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
BY_SERVICE: dict[str, Any] = {
    "x-saga-reason": "exhausted",
    "x-saga-detail": "ConnectionError: CMD-1 after 5 s",
    "x-saga-exchange": "stock.events",
    "x-saga-service": "paiement",
    "x-saga-attempt": 3,
    "x-saga-set-aside": "2026-01-01T12:00:00.000+00:00",
}
BY_BROKER: dict[str, Any] = {
    "x-death": [{"queue": "paiement.inbox", "exchange": "stock.events", "reason": "delivery_limit", "time": NOON}],
    "x-first-death-exchange": "stock.events",
    "x-first-death-reason": "delivery_limit",
}


def event(key: str = "CMD-1", type_: str = "stock.reserve") -> bytes:
    return json.dumps(
        {"id": f"e-{key}", "type": type_, "source": "/services/stock", "data": {"commande_id": key}}
    ).encode()


def delivery(
    body: bytes | None = None, headers: dict[str, Any] | None = None, properties: Properties | None = None
) -> Delivery:
    header = ContentHeader(BY_SERVICE if headers is None else headers, properties or Properties())
    return Delivery(7, event() if body is None else body, "paiement.dlx", "stock.reserve", header)


def again(message: Outgoing) -> Delivery:
    """The message as it is delivered from the dead-letter queue."""
    header = ContentHeader(message.headers, message.properties)
    return Delivery(8, message.body, message.exchange, message.routing_key, header)


def test_a_letter_tells_who_set_what_aside_and_why() -> None:
    letter = read_letter(delivery(), "paiement", SAGAS)
    assert (letter.service, letter.reason, letter.saga, letter.key) == (
        "paiement",
        "exhausted",
        "commande",
        "CMD-1",
    )
    assert (letter.type, letter.event_id, letter.source) == ("stock.reserve", "e-CMD-1", "/services/stock")
    assert (letter.at, letter.pattern) == (NOON, "ConnectionError: … after … s")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": 1, "type": {"a": 1}, "data": [1]}',
        b"null",
        b"x" * 300_000,
        b'"\\ud800"',
    ],
    ids=["empty", "no text", "deep", "wrong types", "null", "huge", "surrogate"],
)
def test_bytes_that_are_no_event_are_a_letter_too(body: bytes) -> None:
    letter = read_letter(delivery(body), "paiement", SAGAS)
    assert (letter.size, letter.event_id, letter.key) == (len(body), None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-saga-reason": 7, "x-saga-set-aside": "noon", "x-saga-detail": b"bytes"},
        {"x-death": "no list", "x-first-death-reason": 3},
        {"x-death": [None, {"queue": 1}]},
        {"x-saga-detail": "\x1b[31mred", "x-saga-reason": "\x1b"},
        {"x-saga-set-aside": "0001-01-01T00:00:00+14:00"},
        {"x-saga-set-aside": "9999-12-31T23:59:59-14:00"},
        {"x-saga-held": "alice", "x-saga-letter": "--help"},
        {"x-saga-held": "alice", "x-saga-letter": ""},
    ],
    ids=[
        *("none", "wrong types", "no deaths", "odd deaths", "control characters"),
        *("first day", "last day", "an id that is an option", "no id"),
    ],
)
def test_headers_that_nobody_of_ours_wrote_stop_nothing(headers: dict[str, Any]) -> None:
    letter = read_letter(delivery(headers=headers), "paiement", SAGAS)
    assert re.fullmatch(r"[0-9a-f]{12}", letter.id)
    assert letter.at in {None, NOON}
    assert letter.reason.isprintable()
    assert letter.detail.isprintable()


def test_letters_that_differ_only_in_values_are_one_group() -> None:
    details = [f"ConnectionError: CMD-{number} after {number} s" for number in range(3)]
    letters = [
        read_letter(delivery(event(f"CMD-{number}"), BY_SERVICE | {"x-saga-detail": detail}), "paiement", SAGAS)
        for number, detail in enumerate(details)
    ]
    other = read_letter(delivery(headers=BY_SERVICE | {"x-saga-detail": "KeyError"}), "paiement", SAGAS)
    first, second = groups([*letters, other])
    assert (first.count, second.count) == (3, 1)
    assert first.example.fingerprint != second.example.fingerprint


def test_two_letters_of_one_event_have_two_ids_and_a_copy_has_one() -> None:
    later = BY_SERVICE | {"x-saga-set-aside": "2026-01-01T13:00:00.000+00:00"}
    ids = [
        read_letter(delivery(headers=headers), "paiement", SAGAS).id for headers in (BY_SERVICE, BY_SERVICE, later)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_the_brokers_counters_change_no_id() -> None:
    counted = BY_SERVICE | {"x-delivery-count": 4, "x-acquired-count": 5}
    plain, looked_at = (read_letter(delivery(headers=one), "paiement", SAGAS) for one in (BY_SERVICE, counted))
    assert plain == looked_at


@pytest.mark.parametrize("headers", [BY_SERVICE, BY_BROKER], ids=["by the service", "by the broker"])
def test_a_held_letter_keeps_its_id_and_says_by_whom(headers: dict[str, Any]) -> None:
    before = read_letter(delivery(headers=headers), "paiement", SAGAS)
    message = held(delivery(headers=headers), before, "alice at noon: asked the bank")
    letter = read_letter(again(message), "paiement", SAGAS)
    assert (letter.id, letter.held, letter.at) == (before.id, "alice at noon: asked the bank", NOON)
    assert (message.exchange, letter.reason, letter.fingerprint) == (
        "paiement.dlx",
        before.reason,
        before.fingerprint,
    )
    assert first_exchange_of(again(message), "paiement") == "stock.events"
    assert not [name for name in message.headers if "death" in name]


def test_an_edited_letter_has_another_id_and_names_its_original() -> None:
    before = read_letter(delivery(), "paiement", SAGAS)
    letter = read_letter(again(edited(delivery(), before, event("CMD-2"), "alice at noon")), "paiement", SAGAS)
    assert letter.id != before.id
    assert (letter.original, letter.edited, letter.key) == (before.id, "alice at noon", "CMD-2")


def test_a_letter_is_sent_back_with_its_bytes_and_without_the_headers_of_its_death() -> None:
    properties = Properties(content_type="application/json", correlation_id="CMD-1")
    headers = BY_SERVICE | BY_BROKER | {"CC": ["x"], "traceparent": "00-a"}
    dead = delivery(headers=headers, properties=properties)
    message = sent_back(dead, "paiement", by="alice@ops", at=NOON)
    assert (message.exchange, message.routing_key, message.body) == (
        "paiement.requeue",
        "stock.reserve",
        dead.body,
    )
    assert message.properties._replace(message_id=None) == properties
    assert message.properties.message_id
    assert message.headers == {
        "x-saga-exchange": "stock.events",
        "traceparent": "00-a",
        "x-saga-replayed": "alice@ops at 2026-01-01T12:00:00.000+00:00",
    }


def test_a_sender_that_a_client_forged_is_not_believed_when_the_broker_set_the_message_aside() -> None:
    died = {"queue": "paiement.inbox", "exchange": "client.events", "reason": "delivery_limit"}
    forged = {"x-saga-exchange": "stock.events", "x-saga-held": "nobody", "x-death": [died]}
    letter = read_letter(delivery(headers=forged), "paiement", SAGAS)
    assert first_exchange_of(delivery(headers=forged), "paiement") == "client.events"
    assert (letter.held, letter.reason) == ("", "delivery_limit")


def test_a_message_that_crashed_its_worker_after_a_retry_keeps_its_first_sender() -> None:
    died = {"queue": "paiement.inbox", "exchange": "paiement.requeue", "reason": "delivery_limit"}
    waited = {"queue": "paiement.retry.1", "exchange": "paiement.retry", "reason": "expired"}
    headers = {"x-saga-exchange": "stock.events", "x-death": [died, waited], "x-first-death-reason": "expired"}
    letter = read_letter(delivery(headers=headers), "paiement", SAGAS)
    assert first_exchange_of(delivery(headers=headers), "paiement") == "stock.events"
    assert letter.reason == "delivery_limit"


def test_a_held_letter_is_selected_by_its_id_alone() -> None:
    before = read_letter(delivery(), "paiement", SAGAS)
    letter = read_letter(again(held(delivery(), before, "alice")), "paiement", SAGAS)
    assert not Selection(("paiement",)).matches(letter)
    assert not Selection(("paiement",), reason="exhausted").matches(letter)
    assert Selection(("paiement",), ids=frozenset({letter.id})).matches(letter)
    assert Selection(("paiement",), held=True).matches(letter)
