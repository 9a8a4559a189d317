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
from choregraphie.saga.topology import ATTEMPT_HEADER, REASON_HEADER, dlx, events, retry
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.records.parser import EventEntry, IgnoredEntry, parse_entry
from tests.saga_monitor.memory_stream import PLACED, START, Line, event_bytes

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
    record = parse_entry(
        entry(event_bytes("CMD-1", Line("stock.reserve", "commande.initiee", 5)), "stock.events"), NOW
    )
    assert isinstance(record, EventEntry)
    assert (record.commande_id, record.heard.type, record.heard.service) == ("CMD-1", "stock.reserve", "stock")
    assert record.at == START + dt.timedelta(milliseconds=5)


def test_a_foreign_client_s_bare_json_is_accepted() -> None:
    bare = altered(time=None, subject=None, correlationid=None, dataschema=None, datacontenttype=None)
    record = parse_entry(entry(bare), NOW)
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
    assert parse_entry(entry(body, exchange), NOW) == IgnoredEntry(7, why)


def test_a_time_in_the_future_is_limited_by_our_clock() -> None:
    record = parse_entry(entry(altered(time="2999-01-01T00:00:00Z")), NOW)
    assert isinstance(record, EventEntry)
    assert record.at == NOW


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_times_at_the_ends_of_the_calendar_are_unknown(time: str) -> None:
    record = parse_entry(entry(altered(time=time)), NOW)
    assert isinstance(record, EventEntry)
    assert record.heard.time is None


def test_a_retry_is_known_by_its_exchange() -> None:
    record = parse_entry(entry(altered(), "stock.retry", {ATTEMPT_HEADER: 3}), NOW)
    assert isinstance(record, Retry)
    assert (record.commande_id, record.service, record.attempt) == ("CMD-1", "stock", 3)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({REASON_HEADER: "exhausted"}, "exhausted"),
        ({REASON_HEADER: b"invalid"}, "invalid"),
        ({}, "delivery_limit"),
        ({"x-first-death-reason": "delivery_limit", REASON_HEADER: "invalid"}, "delivery_limit"),
        ({"x-death": [{"reason": "delivery_limit"}]}, "delivery_limit"),
        ({REASON_HEADER: "\ud800"}, "?"),
    ],
)
def test_a_dead_letter_has_a_reason(headers: Mapping[str, object], reason: str) -> None:
    record = parse_entry(entry(altered(), "stock.dlx", headers), NOW)
    assert isinstance(record, DeadLetter)
    assert (record.commande_id, record.service, record.reason) == ("CMD-1", "stock", reason)


def test_unreadable_bytes_may_be_a_dead_letter_of_no_order() -> None:
    record = parse_entry(entry(b"\x00", "stock.dlx", {REASON_HEADER: "unreadable"}), NOW)
    assert isinstance(record, DeadLetter)
    assert record.commande_id is None


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
    assert parse_entry(entry(altered(**changes), exchange, headers), NOW).offset == 7


@given(st.binary(), st.sampled_from(EXCHANGES))
def test_no_bytes_are_fatal(body: bytes, exchange: str) -> None:
    assert parse_entry(entry(body, exchange), NOW).offset == 7
