"""The reason of a dead letter needs no knowledge of this code or of its libraries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from choregraphie import Reason
from choregraphie.messaging import Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.service.verdict import DeadLetter
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.counters import REASONS
from services.stock import SERVICE
from tests.saga_monitor.memory_stream import PLACED, event_bytes

GOOD: dict[str, Any] = json.loads(event_bytes("CMD-1", PLACED[0]))


def refused(body: bytes) -> DeadLetter:
    """The dead letter that a stock worker makes of it."""
    verdict = Decoder(SERVICE).decode(Delivery(1, body, "client.events", CHOREOGRAPHY.starts.TYPE))
    assert isinstance(verdict, DeadLetter)
    return verdict


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"quantite": 0}, "data.quantite must be at least 1"),
        ({"quantite": "two"}, "data.quantite must be a whole number"),
        ({"quantite": None}, "data.quantite must be a whole number"),
        ({"montant": 1.999}, "data.montant must have at most 2 decimals"),
        ({"montant": 1e9}, "data.montant must be at most 1,000,000"),
        ({"montant": "much"}, "data.montant must be a number"),
        ({"client_id": "x" * 101}, "data.client_id must have at most 100 characters"),
        ({"montant": -5}, "data.montant must be greater than 0"),
        ({"montant": 0}, "data.montant must be greater than 0"),
        ({"quantite": 1_000_001}, "data.quantite must be at most 1,000,000"),
        ({"client_id": ""}, "data.client_id must have at least 1 character"),
        ({"client_id": 5}, "data.client_id must be a text"),
        ({"produit_id": "\n"}, "data.produit_id holds a character that is not allowed"),
    ],
)
def test_a_wrong_field_is_said_plainly(wrong: dict[str, Any], words: str) -> None:
    letter = refused(json.dumps(GOOD | {"data": GOOD["data"] | wrong}).encode())
    assert because(letter.reason, letter.detail) == f"it is not valid ({words})"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "it is not valid (the message must be a JSON object)"),
        (
            json.dumps(GOOD | {"data": 7}).encode(),
            "it is not valid (its data must be a JSON object)",
        ),
        (b"{}", "it is not valid (specversion is missing)"),
        (
            json.dumps(GOOD | {"time": "noon"}).encode(),
            "it is not valid (time must be a time such as 2026-11-22T18:47:00Z)",
        ),
        (b"{", "it cannot be read (not JSON)"),
        (json.dumps(GOOD | {"subject": "CMD-2"}).encode(), "it names more than one key (subject, "),
    ],
)
def test_a_wrong_message_is_said_plainly(body: bytes, words: str) -> None:
    letter = refused(body)
    assert because(letter.reason, letter.detail).startswith(words)


def test_every_reason_that_a_program_of_ours_gives_has_words_of_its_own() -> None:
    told = {because(reason, "") for reason in REASONS}
    assert len(told) == len(REASONS)
    assert not [words for words in told if "_" in words or words in set(Reason)]
    assert because("made up", "by somebody") == "made up (by somebody)"


def test_what_an_error_says_is_left_as_it_is() -> None:
    assert because("exhausted", "ConnectionError: gateway") == "every try failed (ConnectionError: gateway)"


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("data.montant: greater_than", "data.montant is too small"),
        ("envelope: model_type", "the message is not a JSON object"),
        ("data.montant: a_later_kind", "data.montant is wrong"),
    ],
)
def test_a_letter_of_an_older_worker_is_said_as_plainly(detail: str, words: str) -> None:
    assert because("invalid", detail) == f"it is not valid ({words})"


@pytest.mark.parametrize("wrong", [{"client_id": ["secret-9"]}, {"montant": "secret-9"}, {"quantite": "secret-9"}])
def test_what_a_worker_says_of_a_field_never_has_its_value(wrong: dict[str, Any]) -> None:
    letter = refused(json.dumps(GOOD | {"data": GOOD["data"] | wrong}).encode())
    assert "secret" not in letter.detail
