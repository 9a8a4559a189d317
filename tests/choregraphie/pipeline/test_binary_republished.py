"""A binary message that is retried or set aside keeps its attributes, and is read as before."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery, Outgoing
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.service.verdict import DeadLetter, RetryAfter
from choregraphie.storage.invocation import Invocation
from services.stock import SERVICE as STOCK
from tests.choregraphie.pipeline.test_binary_mode import (
    DATA,
    ENVELOPE,
    NO_TEXTS,
    NOON,
    TYPE,
    delivery,
    headers,
    read,
    refused,
)


def sent_again(given: dict[str, Any], content_type: str | None = "application/json") -> tuple[Outgoing, Outgoing]:
    """A retry and a dead letter made of that message."""
    original = delivery(given, DATA, content_type)
    return (
        for_another_try(original, RetryAfter(5, 1, "why"), "stock", 4500, NOON),
        set_aside(original, DeadLetter(Reason.EXHAUSTED, "why", 2), "stock", NOON),
    )


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "Application/CloudEvents+JSON; charset=utf-8"]
)
def test_a_structured_content_type_wins_over_headers_which_are_neither_read_nor_kept(content_type: str) -> None:
    given = headers(id="another", specversion="9")
    assert read(given, json.dumps(ENVELOPE).encode(), content_type).identity.id == ENVELOPE["id"]
    assert refused(headers(), DATA, content_type)[0] is Reason.INVALID
    for out in sent_again(given, content_type):
        assert not any(name.startswith("cloudEvents") for name in out.headers)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"time": dt.datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)},
        {
            "sequence": 7,
            "sampled": True,
            "ratio": 0.1,
            "huge": 1e300,
            "nan": float("nan"),
            "amount": Decimal("1.25"),
        },
        {"table": {"a": [1, NOON, bytearray(b"x")]}, "raw": bytearray(b"\xff"), "cut": b"\xff", "void": None},
    ],
)
def test_a_retried_message_is_read_as_it_was(attributes: dict[str, Any]) -> None:
    given = headers("ce_", **attributes)
    retried, dead = sent_again(given)
    for out in (retried, dead):
        assert out.body == DATA
        back = Delivery(1, out.body, "stock.requeue", f"5.{TYPE}", ContentHeader(out.headers, out.properties))
        again = Decoder(STOCK).decode(back)
        assert isinstance(again, Invocation)
        assert (again.identity, again.body_hash) == (read(given).identity, read(given).body_hash)


@pytest.mark.parametrize("wrong", NO_TEXTS)
def test_a_refused_message_that_is_sent_back_is_refused_again(wrong: object) -> None:
    _, dead = sent_again(headers(id=wrong))
    back = Decoder(STOCK).decode(delivery(dict(dead.headers)))
    assert isinstance(back, DeadLetter)
    assert back.detail == refused(headers(id=wrong))[1]


def test_a_dead_letter_keeps_contradicting_attributes_and_no_other_header() -> None:
    given = headers("cloudEvents:") | headers("ce-", id="e-2")
    _, dead = sent_again(given | {"x-death": [{"queue": "q"}], "CC": ["elsewhere"], "other": "x"})
    assert given.items() <= dead.headers.items()
    assert {name for name in dead.headers if not name.startswith("x-saga-")} == set(given)


def test_headers_fit_a_frame_however_many_attributes_there_are() -> None:
    given = headers(**{f"n{number}": "é" * 500 for number in range(120)})
    assert refused(given)[0] is Reason.TOO_LARGE
    for out in sent_again(given):
        assert sum(len(str(value).encode()) + len(name) + 6 for name, value in out.headers.items()) < 120 * 1024
        assert headers().items() <= out.headers.items()


deep: Any = "x"
for _ in range(400):
    deep = {"a": deep}
_VALUES = st.none() | st.text() | st.binary() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.just(deep)


@given(
    st.dictionaries(st.sampled_from([*headers(), *headers("ce-"), "ce-time", "ce-subject", "ce-x"]), _VALUES),
    st.binary(max_size=20) | st.just(DATA),
    st.none() | st.text(max_size=20),
)
def test_reading_and_republishing_never_raise(
    given: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    original = delivery(given, body, content_type)
    verdict = Decoder(STOCK).decode(original)
    assert isinstance(verdict, DeadLetter | Invocation)
    set_aside(original, DeadLetter(Reason.INVALID, "why"), "stock", NOON)
