"""A message in CloudEvents binary mode: its attributes are headers, its body is the data."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery, Properties
from choregraphie.pipeline.decoder import Decoder
from choregraphie.saga.envelope import MAX_BODY_BYTES
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage.invocation import Invocation
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example

TYPE = "commande.initiee"
ENVELOPE = example(TYPE)
DATA = json.dumps(ENVELOPE["data"]).encode()
ATTRIBUTES: dict[str, Any] = {"specversion": "1.0", "id": "e-1", "type": TYPE, "source": "/clients/boutique"}
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
NO_TEXTS: tuple[Any, ...] = (7, True, 1.5, Decimal("1.5"), bytearray(b"e-1"), b"\xff", {"a": 1}, ["e"])
PREFIXES = ("cloudEvents:", "cloudEvents_", "ce-", "ce_", "Ce-", "CE-")


def headers(prefix: str = "cloudEvents:", **attributes: Any) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in (ATTRIBUTES | attributes).items()}


def delivery(given: dict[str, Any], body: bytes = DATA, content_type: str | None = "application/json") -> Delivery:
    return Delivery(1, body, "client.events", TYPE, ContentHeader(given, Properties(content_type=content_type)))


def read(given: dict[str, Any], body: bytes = DATA, content_type: str | None = "application/json") -> Invocation:
    invocation = Decoder(STOCK).decode(delivery(given, body, content_type))
    assert isinstance(invocation, Invocation), invocation
    return invocation


def refused(
    given: dict[str, Any], body: bytes = DATA, content_type: str | None = "application/json"
) -> tuple[Reason, str]:
    verdict = Decoder(STOCK).decode(delivery(given, body, content_type))
    assert isinstance(verdict, DeadLetter), verdict
    assert verdict.detail.isprintable()
    assert len(verdict.detail) < 400
    return verdict.reason, verdict.detail


@pytest.mark.parametrize("prefix", PREFIXES)
def test_attributes_are_read_under_every_prefix(prefix: str) -> None:
    invocation = read(headers(prefix))
    assert invocation.identity == ("/clients/boutique", "e-1")
    assert invocation.event.model_dump(mode="json") == ENVELOPE["data"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"time": NOON},
        {"time": "2016-12-31T23:59:60Z"},
        {"subject": "CMD-0001", "correlationid": "CMD-0001", "causationid": "x", "dataschema": None},
        {"dataschema": "urn:choregraphie:commande.initiee:1"},
        # Extensions are ignored, whatever their values.
        {
            "sequence": 7,
            "sampled": True,
            "ratio": 0.5,
            "table": {"a": [1]},
            "raw": bytearray(b"\xff"),
            "void": None,
        },
        {"data": "{}", "datacontenttype": "text/xml"},
    ],
)
def test_every_attribute_that_cloudevents_allows_is_accepted(attributes: dict[str, Any]) -> None:
    read(headers(**attributes))


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json; charset=utf-8", "Application/JSON", "application/vnd.boutique+json"],
)
def test_the_content_type_is_that_of_the_data(content_type: str | None) -> None:
    read(headers(), content_type=content_type)


@pytest.mark.parametrize(
    ("attributes", "reason", "detail"),
    [
        *(({name: None}, Reason.INVALID, f"{name} is missing") for name in ATTRIBUTES),
        ({"specversion": "0.3"}, Reason.INVALID, "specversion must be '1.0'"),
        ({"specversion": 1.0}, Reason.INVALID, "specversion must be '1.0'"),
        ({"specversion": b"1.0"}, Reason.INVALID, "specversion must be '1.0'"),
        *(({"id": wrong}, Reason.INVALID, "id must be a text") for wrong in (*NO_TEXTS, 1e300, float("nan"))),
        ({"subject": bytearray(b"CMD-0001")}, Reason.INVALID, "subject must be a text"),
        ({"id": "x" * 101}, Reason.INVALID, "id must have at most 100 characters"),
        ({"id": ""}, Reason.INVALID, "id must have at least 1 character"),
        ({"id": "a\x00b"}, Reason.INVALID, "id holds a character that is not allowed"),
        ({"id": "a\x1b[2J"}, Reason.INVALID, "id holds a character that is not allowed"),
        ({"source": "nowhere"}, Reason.INVALID, "source holds a character"),
        ({"time": "yesterday"}, Reason.INVALID, "time must be a time such as"),
        ({"time": 7}, Reason.INVALID, "time must be a time such as"),
        ({"dataschema": "urn:x"}, Reason.UNKNOWN_VERSION, "expected urn:choregraphie:commande.initiee:1"),
        ({"type": "commande.rangee"}, Reason.UNKNOWN_TYPE, "stock does not hear"),
        ({"subject": "CMD-2"}, Reason.SUBJECT_MISMATCH, "subject, correlationid"),
        ({"source": "/services/stock"}, Reason.WRONG_SENDER, "commande.initiee is said by client"),
        ({"note": "x" * 65_536}, Reason.TOO_LARGE, "65"),
        *(({f"n{i}": "y" * 1000 for i in range(70)}, Reason.TOO_LARGE, "7") for _ in "1"),
    ],
)
def test_wrong_attributes_are_refused_with_their_reason(
    attributes: dict[str, Any], reason: Reason, detail: str
) -> None:
    found = refused(headers(**attributes))
    assert (found[0], found[1][: len(detail)]) == (reason, detail)
    assert found[1].endswith("(binary mode: the attributes are headers)")


@pytest.mark.parametrize(
    ("body", "content_type", "reason", "detail"),
    [
        (b"\xff\x00", "application/json", Reason.UNREADABLE, "not JSON"),
        (DATA[:-1], "application/json", Reason.UNREADABLE, "not JSON"),
        (b"[" * 100_000, "application/json", Reason.UNREADABLE, "not JSON"),
        (DATA + b', "id": "another"', "application/json", Reason.UNREADABLE, "not JSON"),
        (b"", "application/json", Reason.INVALID, "its data is missing"),
        (b" \n", None, Reason.INVALID, "its data is missing"),
        (b"null", "application/json", Reason.INVALID, "its data must be a JSON object"),
        (b"[]", "application/json", Reason.INVALID, "its data must be a JSON object"),
        (b"{}", "application/json", Reason.INVALID, "data."),
        (json.dumps(ENVELOPE).encode(), "application/json", Reason.INVALID, "data."),
        (DATA, "application/octet-stream", Reason.INVALID, "datacontenttype must be application/json"),
        (DATA, "text/plain", Reason.INVALID, "datacontenttype must be application/json"),
        (DATA, "a\x1b[2J\n", Reason.INVALID, "datacontenttype must be application/json"),
        (DATA, "application/json; charset=latin-1", Reason.INVALID, "datacontenttype must name no other charset"),
        (b"x" * (MAX_BODY_BYTES + 1), "application/json", Reason.TOO_LARGE, "262145 bytes"),
    ],
)
def test_a_wrong_body_or_content_type_is_refused_with_its_reason(
    body: bytes, content_type: str | None, reason: Reason, detail: str
) -> None:
    found = refused(headers(), body, content_type)
    assert (found[0], found[1][: len(detail)]) == (reason, detail)


def test_the_content_type_may_be_a_header_where_the_property_is_not_set() -> None:
    assert refused(headers(datacontenttype="text/xml"), content_type=None)[0] is Reason.INVALID
    assert refused(headers(datacontenttype=7), content_type=None)[0] is Reason.INVALID


def test_two_prefixes_may_repeat_each_other_and_not_contradict() -> None:
    assert read(headers("cloudEvents:") | headers("ce-")).identity.id == "e-1"
    reason, detail = refused(headers("cloudEvents:") | headers("ce-", id="e-2"))
    assert (reason, detail[:37]) == (Reason.INVALID, "id has different values in two headers"[:37])


@pytest.mark.parametrize(
    "other", ["cloudevents:", "CloudEvents:", "CE_", "cloudEvents-", "x-ce-", "ce:", "cloudEvents:X"]
)
def test_other_headers_are_no_attributes(other: str) -> None:
    structured = json.dumps(ENVELOPE).encode()
    assert read(headers(other), structured).identity.id == ENVELOPE["id"]


def test_the_body_cannot_set_an_attribute() -> None:
    smuggled = json.dumps(ENVELOPE["data"] | {"id": "another", "source": "/clients/autre"}).encode()
    assert read(headers(), smuggled).identity == ("/clients/boutique", "e-1")


def test_numbers_are_read_as_they_were_written() -> None:
    exact = DATA.replace(b"99.99", b"1e2").replace(b": 2,", b": 2.0,")
    event: Any = read(headers(), exact).event
    assert (event.montant, event.quantite) == (100, 2)
    assert refused(headers(), DATA.replace(b"99.99", b"1e400"))[0] is Reason.INVALID


def test_the_hash_covers_the_attributes_and_the_body() -> None:
    """The same id with anything else is a collision; a repetition is none, by whatever prefix it comes."""
    original = read(headers()).body_hash
    assert read(headers(causationid="x")).body_hash != original
    assert read(headers(), DATA + b" ").body_hash != original
    for prefix in PREFIXES:
        assert read(headers(prefix)).body_hash == original
    assert read(headers(), content_type=None).body_hash == original
