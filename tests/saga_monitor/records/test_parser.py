"""Entries of the history become records, whatever their bytes and headers."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.envelope import MAX_BODY_BYTES
from choregraphie.saga.topology import ATTEMPT_HEADER, REASON_HEADER, SET_ASIDE_HEADER, dlx, events, retry
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.records.parser import EventEntry, IgnoredEntry
from tests.saga_monitor.memory_stream import PLACED, START, Line, event_bytes
from tests.support.order_saga import PARSER

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = START + dt.timedelta(minutes=1)
EXCHANGES = [events("client"), *(f(s) for s in CHOREOGRAPHY.services for f in (events, retry, dlx)), "amq.topic"]


def entry(
    body: bytes, exchange: str = "client.events", headers: Mapping[str, object] | None = None
) -> HistoryEntry:
    return HistoryEntry(7, exchange, "key", body, headers or {}, None)


def altered(**changes: Any) -> bytes:
    envelope = json.loads(event_bytes("CMD-1", PLACED[0])) | changes
    return json.dumps({key: value for key, value in envelope.items() if value is not None}).encode()


def test_an_event_by_its_sender_s_exchange_is_accepted() -> None:
    record = PARSER.parse(
        entry(event_bytes("CMD-1", Line("stock.reserve", "commande.initiee", 5)), "stock.events"), NOW
    )
    assert isinstance(record, EventEntry)
    assert (record.key, record.heard.type, record.heard.service) == ("CMD-1", "stock.reserve", "stock")
    assert record.at == START + dt.timedelta(milliseconds=5)


def test_a_foreign_client_s_bare_json_is_accepted() -> None:
    bare = altered(time=None, subject=None, correlationid=None, dataschema=None, datacontenttype=None)
    record = PARSER.parse(entry(bare), NOW)
    assert isinstance(record, EventEntry)
    assert (record.heard.time, record.at) == (None, NOW)


@pytest.mark.parametrize(
    ("body", "exchange", "why"),
    [
        (b"\xff\x00 not json", "client.events", "unreadable"),
        (b"", "client.events", "unreadable"),
        (b"[" * 100_000, "client.events", "unreadable"),
        (b'{"a":' * 50_000, "client.events", "unreadable"),
        (b" " * (MAX_BODY_BYTES + 1), "client.events", "unreadable"),
        (altered(subject="CMD-2"), "client.events", "unreadable"),
        (altered(data={"commande_id": "CMD-1"}), "client.events", "unreadable"),
        (altered(specversion="0.3"), "client.events", "unreadable"),
        (altered(type="stock.vole"), "client.events", "unknown"),
        (altered(dataschema="urn:choregraphie:commande.initiee:9"), "client.events", "unknown"),
        (altered(), "stock.events", "untrusted"),
        (altered(), "amq.topic", "untrusted"),
        (altered(source="/services/stock"), "client.events", "untrusted"),
        (event_bytes("CMD-1", Line("paiement.effectue")), "client.events", "untrusted"),
    ],
)
def test_untrusted_entries_are_counted_and_ignored(body: bytes, exchange: str, why: str) -> None:
    assert PARSER.parse(entry(body, exchange), NOW) == IgnoredEntry(7, why)


def test_a_time_in_the_future_is_limited_by_our_clock() -> None:
    record = PARSER.parse(entry(altered(time="2999-01-01T00:00:00Z")), NOW)
    assert isinstance(record, EventEntry)
    assert record.at == NOW


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_times_at_the_ends_of_the_calendar_are_unknown(time: str) -> None:
    record = PARSER.parse(entry(altered(time=time)), NOW)
    assert isinstance(record, EventEntry)
    assert record.heard.time is None


def test_a_retry_is_known_by_its_exchange() -> None:
    record = PARSER.parse(entry(altered(), "stock.retry", {ATTEMPT_HEADER: 3}), NOW)
    assert isinstance(record, Retry)
    assert (record.key, record.service, record.attempt) == ("CMD-1", "stock", 3)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({REASON_HEADER: "exhausted"}, "exhausted"),
        ({REASON_HEADER: b"invalid"}, "invalid"),
        ({}, "unknown"),
        ({"x-first-death-reason": "delivery_limit", REASON_HEADER: "invalid"}, "delivery_limit"),
        ({"x-death": [{"reason": "delivery_limit"}]}, "delivery_limit"),
        # Before a worker crashed on it again and again, it had waited in a retry queue until its delay was over.
        ({"x-first-death-reason": "expired"}, "delivery_limit"),
        ({"x-death": [{"reason": "delivery_limit"}], "x-first-death-reason": "expired"}, "delivery_limit"),
        ({REASON_HEADER: "\ud800"}, "\\ud800"),
    ],
)
def test_a_dead_letter_has_a_reason(headers: Mapping[str, object], reason: str) -> None:
    record = PARSER.parse(entry(altered(), "stock.dlx", headers), NOW)
    assert isinstance(record, DeadLetter)
    assert (record.key, record.service, record.reason) == ("CMD-1", "stock", reason)


def test_unreadable_bytes_may_be_a_dead_letter_of_no_order() -> None:
    record = PARSER.parse(entry(b"\x00", "stock.dlx", {REASON_HEADER: "unreadable"}), NOW)
    assert isinstance(record, DeadLetter)
    assert record.key is None


_JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([]), st.just({}), st.just({"a": [1]})
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["id", "type", "source", "subject", "time", "data", "dataschema", "causationid"]), _JSON
    ),
    exchange=st.sampled_from(EXCHANGES),
    headers=st.dictionaries(st.sampled_from([ATTEMPT_HEADER, REASON_HEADER, "x-first-death-reason"]), _JSON),
)
def test_nothing_in_an_entry_is_fatal(changes: dict[str, Any], exchange: str, headers: dict[str, Any]) -> None:
    assert PARSER.parse(entry(altered(**changes), exchange, headers), NOW).offset == 7


@given(st.binary(), st.sampled_from(EXCHANGES))
def test_no_bytes_are_fatal(body: bytes, exchange: str) -> None:
    assert PARSER.parse(entry(body, exchange), NOW).offset == 7


BINARY = {f"ce-{name}": json.loads(altered())[name] for name in ("specversion", "id", "type", "source", "time")}
DATA = json.dumps(json.loads(altered())["data"]).encode()


def binary(
    exchange: str = "client.events", body: bytes = DATA, content_type: str = "application/json", **headers: object
) -> HistoryEntry:
    given = BINARY | {f"ce-{name}": value for name, value in headers.items()} | {REASON_HEADER: "invalid"}
    return HistoryEntry(7, exchange, "key", body, given, None, content_type)


def test_an_event_in_binary_mode_is_the_same_event() -> None:
    assert PARSER.parse(binary(), NOW) == PARSER.parse(entry(altered()), NOW)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (binary(specversion="0.3"), "unreadable"),
        (binary(id=7), "unreadable"),
        (binary(id=None), "unreadable"),
        (binary(body=b"\xff"), "unreadable"),
        (binary(content_type="text/plain"), "unreadable"),
        (binary(content_type="application/cloudevents+json"), "unreadable"),
        (binary(type="stock.vole"), "unknown"),
        (binary("stock.events"), "untrusted"),
    ],
)
def test_an_untrusted_event_in_binary_mode_is_ignored(message: HistoryEntry, why: str) -> None:
    assert PARSER.parse(message, NOW) == IgnoredEntry(7, why)


def test_a_retry_and_a_dead_letter_in_binary_mode_are_about_their_event() -> None:
    retried, dead = PARSER.parse(binary("stock.retry"), NOW), PARSER.parse(binary("stock.dlx"), NOW)
    for record in (retried, dead):
        assert isinstance(record, Retry | DeadLetter)
        assert (record.key, record.event_id) == ("CMD-1", BINARY["ce-id"])
        assert record.source == BINARY["ce-source"]
    unreadable = PARSER.parse(binary("stock.dlx", b"\xff"), NOW)
    assert isinstance(unreadable, DeadLetter)
    assert (unreadable.type, unreadable.event_id) == ("commande.initiee", BINARY["ce-id"])
    assert unreadable.copy is not None
    assert BINARY.items() <= unreadable.copy.headers.items()


@given(st.dictionaries(st.sampled_from([*BINARY]), _JSON), st.binary() | st.just(DATA), st.sampled_from(EXCHANGES))
def test_no_headers_are_fatal(headers: dict[str, Any], body: bytes, exchange: str) -> None:
    assert PARSER.parse(HistoryEntry(7, exchange, "key", body, headers, None), NOW).offset == 7


def test_a_dead_letter_is_dated_by_its_service_where_the_broker_gives_no_time() -> None:
    """The publisher of what cannot be read may have given none, and the entry before it may be days older."""
    at = NOW - dt.timedelta(minutes=3)
    record = PARSER.parse(entry(b"rubbish", "stock.dlx", {SET_ASIDE_HEADER: at.isoformat()}), NOW)
    assert isinstance(record, DeadLetter)
    assert record.at == at
