"""Bytes become an invocation, or a dead letter with its reason; decoding never raises."""

import datetime as dt
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery, Properties
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.republish import set_aside
from choregraphie.saga.envelope import MAX_BODY_BYTES
from choregraphie.saga.trace_context import TraceContext
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation
from services.stock import SERVICE as STOCK
from tests.contracts.examples import changed, example, with_raw
from tests.support.decoding import GOOD, TYPE, but, decode, reason

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def without(field: str) -> bytes:
    message = example(TYPE)
    del message["data"][field]
    return json.dumps(message).encode()


def without_attribute(name: str) -> bytes:
    return json.dumps({key: value for key, value in example(TYPE).items() if key != name}).encode()


@pytest.mark.parametrize(
    ("properties", "detail"),
    [
        ({"content_encoding": "gzip"}, "not JSON: its content encoding is gzip, and none is read"),
        ({"content_encoding": " GZIP "}, "not JSON: its content encoding is gzip, and none is read"),
        ({"content_encoding": "deflate\n" * 9}, "not JSON: its content encoding is not one that is known,"),
        ({"content_encoding": "utf-8"}, "not JSON"),
        ({"content_encoding": "identity", "content_type": "application/json"}, "not JSON"),
        (
            {"content_type": 'application/json; charset="ISO-8859-1"'},
            "not JSON: its charset is iso-8859-1, not UTF-8",
        ),
        ({"content_type": "application/cloudevents+json; charset=UTF-8"}, "not JSON"),
        ({}, "not JSON"),
    ],
)
def test_an_unreadable_body_is_reported_with_the_encoding_that_its_sender_names(
    properties: dict[str, Any], detail: str
) -> None:
    delivery = Delivery(
        1, gzip.compress(GOOD), "client.events", TYPE, ContentHeader(properties=Properties(**properties))
    )
    verdict = Decoder(STOCK).decode(delivery)
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.UNREADABLE
    assert verdict.detail.startswith(detail)
    assert (
        set_aside(delivery, verdict, "stock", NOON).properties.content_encoding
        == delivery.properties.content_encoding
    )


def test_a_readable_body_needs_no_correct_content_type() -> None:
    for properties in (
        Properties(content_encoding="gzip"),
        Properties(content_type="text/plain; charset=latin-1"),
    ):
        assert isinstance(
            Decoder(STOCK).decode(Delivery(1, GOOD, "client.events", TYPE, ContentHeader(properties=properties))),
            Invocation,
        )


def test_a_readable_body_becomes_an_invocation() -> None:
    invocation = decode(GOOD, traceparent=TRACE)
    assert isinstance(invocation, Invocation)
    assert invocation.identity == (example(TYPE)["source"], example(TYPE)["id"])
    assert (invocation.instance.key, invocation.attempt) == ("CMD-0001", 1)
    assert invocation.handler is STOCK.on(TYPE)
    assert invocation.trace == TraceContext(TRACE)


@pytest.mark.parametrize(
    "header",
    ["0" * 131_000, f"{TRACE}\x00", f"{TRACE}\n", TRACE.upper(), "00-abc-def-01", "", 7, None, ["x"]],
    ids=lambda header: repr(header)[:20],
)
def test_an_invalid_trace_is_dropped(header: object) -> None:
    """It is copied to every event in answer; one too long for a frame would block them all."""
    invocation = decode(GOOD, traceparent=header)
    assert isinstance(invocation, Invocation)
    assert invocation.trace is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.replace(b"CMD-0001", "é".encode("latin-1")),
        GOOD[:-1],
        GOOD[:50],
        GOOD + b"x",
        b"commande CMD-0001, please",
        b"<order/>",
        gzip.compress(GOOD),
        b"[" * 100_000,
        b'{"a":' * 40_000,
        bytes(range(256)),
        with_raw(TYPE, "montant", "9" * 5000),
    ],
)
def test_bytes_that_are_not_json_are_unreadable(body: bytes) -> None:
    assert reason(body) is Reason.UNREADABLE


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 300 * 1024, 10_000_000])
def test_a_huge_body_is_not_parsed(size: int) -> None:
    assert reason(b"x" * size) is Reason.TOO_LARGE
    assert reason(GOOD + b" " * size) is Reason.TOO_LARGE


def test_a_body_at_the_limit_is_decoded() -> None:
    assert isinstance(decode(GOOD + b" " * (MAX_BODY_BYTES - len(GOOD))), Invocation)


@pytest.mark.parametrize("type_", ["commande.rangee", "stock.reserve", "COMMANDE.INITIEE", "commande.initiee "])
def test_a_type_that_this_service_does_not_hear_is_unknown(type_: str) -> None:
    assert reason(but(type=type_)) is Reason.UNKNOWN_TYPE


@pytest.mark.parametrize("urn", ["urn:choregraphie:commande.initiee:2", "urn:x", "", "1"])
def test_an_unknown_version_is_refused(urn: str) -> None:
    assert reason(but(dataschema=urn)) is Reason.UNKNOWN_VERSION


def test_an_event_without_a_schema_has_the_known_one() -> None:
    assert isinstance(decode(but(dataschema=None)), Invocation)


@pytest.mark.parametrize(
    "body",
    [
        *(without(field) for field in ("client_id", "produit_id", "quantite", "montant", "commande_id")),
        *(changed(TYPE, quantite=wrong) for wrong in (-1, 0, "2", 2.5, None, [2], True)),
        *(changed(TYPE, montant=wrong) for wrong in (-1, 0, "2", 2.555, None)),
        *(with_raw(TYPE, "quantite", token) for token in ("9" * 4000, "1e400", "NaN", "-Infinity")),
        *(with_raw(TYPE, "montant", token) for token in ("9" * 4000, "1e400", "NaN", "Infinity")),
        but(data=None),
        but(data=[]),
        but(data="x"),
        but(specversion="0.3"),
        but(specversion=1.0),
        but(specversion=None),
        but(id=""),
        but(source="nowhere"),
        but(type="a\x00b"),
        but(datacontenttype="text/xml"),
        but(data_base64="e30="),
        *(without_attribute(name) for name in ("specversion", "id", "type", "source", "data")),
        b"[]",
        b"null",
        b"7",
        b"{}",
    ],
)
def test_json_that_is_not_this_event_is_invalid(body: bytes) -> None:
    assert reason(body) is Reason.INVALID


def test_a_number_of_five_thousand_digits_in_an_unknown_field_is_ignored() -> None:
    assert isinstance(decode(with_raw(TYPE, "autre", "9" * 4000)), Invocation)


@pytest.mark.parametrize("change", [{"subject": "CMD-2"}, {"correlationid": "CMD-2"}])
def test_subject_correlationid_and_key_must_agree(change: dict[str, str]) -> None:
    assert reason(but(**change)) is Reason.SUBJECT_MISMATCH


def test_no_detail_shows_a_value_of_the_message() -> None:
    for body in (
        changed(TYPE, quantite="secret-4711"),
        but(subject="secret-4711"),
        but(specversion="secret-4711"),
    ):
        verdict = decode(body)
        assert isinstance(verdict, DeadLetter)
        assert "4711" not in verdict.detail


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode)
)
def test_decoding_never_raises(body: bytes) -> None:
    assert isinstance(decode(body), DeadLetter)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte_gives_an_invocation_or_a_dead_letter(place: int, byte: int) -> None:
    assert isinstance(decode(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]), Invocation | DeadLetter)
