"""The CloudEvents envelope: required attributes, optional ones, and values that must agree."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from choregraphie.saga.envelope import wrap
from contracts.client import CommandeInitiee
from contracts.paiement import PaiementRembourse
from contracts.registry import open_envelope
from contracts.stock import StockLibere
from tests.contracts.examples import example

NOON = dt.datetime(2026, 1, 1, 13, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=1)))


def read(**changes: Any) -> Any:
    message = example("commande.initiee") | changes
    return open_envelope(json.dumps(message).encode())


def written(event: Any, **more: Any) -> dict[str, Any]:
    envelope = wrap(event, id="e-1", source="/services/stock", time=NOON, **more)
    content: dict[str, Any] = json.loads(envelope.to_bytes())
    return content


def test_a_foreign_client_needs_to_send_only_the_required_attributes() -> None:
    message = example("commande.initiee")
    least = {name: message[name] for name in ("specversion", "id", "type", "source", "data")}
    envelope = open_envelope(json.dumps(least).encode())
    assert envelope.data == read().data
    assert (envelope.subject, envelope.time, envelope.correlationid, envelope.causationid) == (None,) * 4


@pytest.mark.parametrize("name", ["specversion", "id", "type", "source", "data"])
def test_what_cloudevents_requires_is_required(name: str) -> None:
    message = example("commande.initiee")
    del message[name]
    with pytest.raises(ValidationError, match=name):
        open_envelope(json.dumps(message).encode())


@pytest.mark.parametrize("name", ["subject", "correlationid"])
def test_the_subject_agrees_with_the_data(name: str) -> None:
    with pytest.raises(ValidationError, match="differ"):
        read(**{name: "CMD-0002"})


def test_unknown_fields_are_ignored_in_the_envelope_and_in_the_data() -> None:
    message = example("commande.initiee")
    more = message | {"traceparent": "00-x", "sequence": 3, "data": message["data"] | {"cadeau": True}}
    assert open_envelope(json.dumps(more).encode()) == read()


def test_an_unknown_type_is_no_event() -> None:
    with pytest.raises(KeyError):
        read(type="commande.rangee")


@pytest.mark.parametrize("time", ["2026-11-22T18:47:00", "yesterday", "", True])
def test_a_time_has_an_offset(time: Any) -> None:
    with pytest.raises(ValidationError, match="time"):
        read(time=time)


def test_a_time_of_another_zone_is_the_same_instant() -> None:
    assert read(time="2026-11-22T19:47:00.123+01:00").time == read(time="2026-11-22T18:47:00.123Z").time


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59.999999+00:00"),
        ("2016-12-31T15:59:60-08:00", "2016-12-31T23:59:59.999999+00:00"),
        ("2026-01-01T12:30:60Z", "2026-01-01T12:30:59.999999+00:00"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999+00:00"),
        ("2026-11-22t18:47:00z", "2026-11-22T18:47:00+00:00"),
        ("2026-11-22 18:47:00Z", "2026-11-22T18:47:00+00:00"),
        ("2026-11-22T18:47:00-00:00", "2026-11-22T18:47:00+00:00"),
        ("2026-11-22T18:47:00.1234567899Z", "2026-11-22T18:47:00.123456+00:00"),
        ("2026-11-22T18:47:00.5+05:45", "2026-11-22T13:02:00.500000+00:00"),
        ("2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_is_read_as_rfc_3339_has_it(time: str, instant: str) -> None:
    assert read(time=time).time == dt.datetime.fromisoformat(instant)


@pytest.mark.parametrize(
    "time",
    [
        *("2026-11-22T18:47:61Z", "2026-11-22T24:00:00Z", "2026-11-22T18:60:00Z", "2026-02-29T00:00:00Z"),
        *("2026-11-22T18:47Z", "2026-11-22", "20261122T184700Z", "2026-W47-7T18:47:00Z", "2026-11-22T18:47:00,5Z"),
        *(
            "2026-11-22T18:47:00.Z",
            "2026-11-22T18:47:00+0100",
            "2026-11-22T18:47:00+24:00",
            "0000-01-01T00:00:00Z",
        ),
        *(
            "2026-11-22T18:47:00Z ",
            "٢٠٢٦-11-22T18:47:00Z",
            f"2026-11-22T18:47:00.{'1' * 100}Z",
            1763837220,
            1.5,
            [],
        ),
    ],
)
def test_a_time_that_rfc_3339_does_not_allow_is_refused(time: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        read(time=time)
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("time",), "rfc3339_time")


def test_the_error_of_a_time_without_an_offset_says_so() -> None:
    with pytest.raises(ValidationError) as caught:
        read(time="2026-11-22T18:47:00")
    assert caught.value.errors()[0]["type"] == "timezone_aware"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        'application/json;charset="UTF-8"',
        " application/json ; charset=utf-8 ",
        "application/json; charset=UTF8; version=1",
        "application/json;",
        'application/json; profile="a;b\\"c"',
        "application/vnd.boutique+json",
        "application/ld+JSON; charset=utf-8",
        "text/json",
        None,
    ],
)
def test_a_media_type_is_compared_without_case_and_parameters(media_type: str | None) -> None:
    """Whatever form is read, the written form is one."""
    envelope = read(datacontenttype=media_type)
    assert envelope == read()
    assert json.loads(envelope.to_bytes())["datacontenttype"] == "application/json"


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/json; charset=iso-8859-1", "utf8_charset"),
        ('application/json; charset="utf-16"', "utf8_charset"),
        ("application/json; charset=latin1; charset=utf-8", "utf8_charset"),
        ("application/xml", "json_media_type"),
        ("application/jsonp", "json_media_type"),
        ("json", "json_media_type"),
        ("application/", "json_media_type"),
        ("application/json, text/html", "json_media_type"),
        ("application/json; charset", "json_media_type"),
        ('application/json; charset="utf-8', "json_media_type"),
        ("application/json;" + " x=y;" * 100, "json_media_type"),
        ("", "json_media_type"),
        (7, "json_media_type"),
    ],
)
def test_the_error_of_another_content_type_says_so(media_type: Any, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(datacontenttype=media_type)
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("datacontenttype",), kind)


def test_the_error_of_binary_data_says_so() -> None:
    with pytest.raises(ValidationError) as caught:
        read(data_base64="aGVsbG8=")
    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("data_base64",), "binary_data")
    assert read(data_base64=None) == read()


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert written(StockLibere(commande_id="C", reservation_id=None))["time"] == "2026-01-01T12:00:00.123Z"


def test_absent_attributes_are_left_out() -> None:
    assert "causationid" not in written(StockLibere(commande_id="C", reservation_id="R"))
    assert written(StockLibere(commande_id="C", reservation_id="R"), causationid="e-0")["causationid"] == "e-0"


def test_a_null_in_the_data_is_written() -> None:
    """A null means that there was nothing to undo, which is an answer."""
    nothing = written(StockLibere(commande_id="C", reservation_id=None))
    assert nothing["data"] == {"commande_id": "C", "reservation_id": None}
    empty = written(PaiementRembourse(commande_id="C", transaction_id=None, montant=Decimal(0)))
    assert empty["data"] == {"commande_id": "C", "transaction_id": None, "montant": 0}


def test_the_envelope_repeats_type_and_subject_of_its_event() -> None:
    event = CommandeInitiee(commande_id="C", client_id="A", produit_id="P", quantite=1, montant=Decimal("0.10"))
    message = written(event)
    assert (message["type"], message["subject"], message["correlationid"]) == ("commande.initiee", "C", "C")
    assert message["dataschema"] == "urn:choregraphie:commande.initiee:1"
    assert message["datacontenttype"] == "application/json"


@pytest.mark.parametrize(
    ("source", "sender"),
    [
        ("/clients/boutique", "client"),
        ("/clients", "client"),
        ("/services/stock", "stock"),
        ("/services/stock/3", "stock"),
        ("/services", ""),
        ("/autre/stock", "stock"),
    ],
)
def test_the_source_names_the_sender(source: str, sender: str) -> None:
    assert read(source=source).sender == sender


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        read().data.quantite = 3


def test_an_error_does_not_show_the_input() -> None:
    with pytest.raises(ValidationError) as caught:
        read(subject="secret-4711\x00")
    assert "4711" not in str(caught.value)
