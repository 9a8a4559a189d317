"""The messages for a retry queue and for the dead-letter queue."""

import datetime as dt
from typing import Any

import pytest

from choregraphie.errors import Reason
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, Properties
from choregraphie.pipeline.republish import for_another_try, set_aside
from choregraphie.service.verdict import DeadLetter, RetryAfter

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
BODY = b'{"anything": "at all"}'
DEATHS: dict[str, Any] = {
    "x-death": [{"queue": "q", "count": 3}],
    "x-first-death-queue": "q",
    "x-last-death-reason": "expired",
    "x-delivery-count": 3,
    "x-acquired-count": 3,
    "CC": ["elsewhere"],
    "BCC": ["elsewhere"],
    "x-saga-reason": "forged",
    "traceparent": "00-abc-def-01",
}


def delivery(exchange: str = "client.events", key: str = "commande.initiee", **headers: Any) -> Delivery:
    properties = Properties(message_id="m-1", content_type="text/plain", correlation_id="CMD-1")
    return Delivery(1, BODY, exchange, key, ContentHeader(headers, properties))


def another_try(back: Delivery, verdict: RetryAfter) -> Outgoing:
    return for_another_try(back, verdict, "stock", 4500, NOON)


def test_a_retry_is_the_same_bytes_through_the_queue_of_its_delay() -> None:
    out = another_try(delivery(**DEATHS), RetryAfter(5, 1, "why"))
    assert (out.exchange, out.routing_key, out.body) == ("stock.retry", "5.commande.initiee", BODY)
    assert out.properties == delivery().properties
    assert out.expiration_ms == 4500


def test_no_received_header_is_republished_but_the_trace() -> None:
    """A message with its `x-death` is lost on RabbitMQ 3; `CC` would send copies past the topology."""
    out = another_try(delivery(**DEATHS), RetryAfter(5, 1, "why"))
    assert set(out.headers) == {
        "x-saga-attempt",
        "x-saga-exchange",
        "x-saga-service",
        "x-saga-detail",
        "x-saga-next",
        "traceparent",
    }
    assert out.headers["x-saga-attempt"] == 1
    assert out.headers["x-saga-exchange"] == "client.events"
    assert dt.datetime.fromisoformat(str(out.headers["x-saga-next"])) == NOON
    assert all(isinstance(value, str | int | float | bool) for value in out.headers.values())


def test_a_second_retry_keeps_the_first_exchange_and_key() -> None:
    first = another_try(delivery(), RetryAfter(1, 1, "why"))
    back = delivery("stock.requeue", first.routing_key, **first.headers)
    second = another_try(back, RetryAfter(5, 2, "why"))
    assert second.routing_key == "5.commande.initiee"
    assert second.headers["x-saga-exchange"] == "client.events"
    last = set_aside(delivery("stock.requeue", second.routing_key, **second.headers), _exhausted(3), "stock", NOON)
    assert (last.routing_key, last.headers["x-saga-exchange"]) == ("commande.initiee", "client.events")


def test_a_delay_of_milliseconds_is_removed_from_the_key() -> None:
    first = another_try(delivery(), RetryAfter(0.25, 1, "why"))
    back = delivery("stock.requeue", first.routing_key, **first.headers)
    assert first.routing_key == "250ms.commande.initiee"
    assert set_aside(back, _exhausted(2), "stock", NOON).routing_key == "commande.initiee"


def test_what_the_broker_set_aside_and_an_operator_sent_back_keeps_its_first_exchange() -> None:
    back = delivery("stock.requeue", **{"x-first-death-exchange": "client.events"})
    first = another_try(back, RetryAfter(1, 1, "why"))
    assert first.headers["x-saga-exchange"] == "client.events"


def test_a_forged_exchange_header_is_ignored_on_the_first_delivery() -> None:
    out = set_aside(delivery(**{"x-saga-exchange": "commande.events"}), _exhausted(1), "stock", NOON)
    assert out.headers["x-saga-exchange"] == "client.events"


def _exhausted(attempt: int) -> DeadLetter:
    return DeadLetter(Reason.EXHAUSTED, "why", attempt)


def test_a_dead_letter_is_the_same_bytes_with_the_reason_and_no_expiration() -> None:
    out = set_aside(delivery(**DEATHS), DeadLetter(Reason.INVALID, "quantite: int_type", 2), "stock", NOON)
    assert (out.exchange, out.routing_key, out.body) == ("stock.dlx", "commande.initiee", BODY)
    assert (out.headers["x-saga-reason"], out.headers["x-saga-detail"]) == ("invalid", "quantite: int_type")
    assert (out.headers["x-saga-attempt"], out.expiration_ms) == (2, None)
    assert "x-death" not in out.headers


@pytest.mark.parametrize("redirected", ["retry", "dead letter"])
def test_headers_fit_a_frame_however_long_the_reason(redirected: str) -> None:
    long = delivery(traceparent="t" * 500_000)
    text = "é" * 500_000
    if redirected == "retry":
        out = another_try(long, RetryAfter(1, 1, text))
    else:
        out = set_aside(long, DeadLetter(Reason.INVALID, text), "stock", NOON)
    assert sum(len(str(v).encode()) + len(k) for k, v in out.headers.items()) < 4096


def test_a_message_without_an_id_is_republished_with_one() -> None:
    """The publisher matches returned messages by it."""
    plain = Delivery(1, BODY, "client.events", "commande.initiee")
    assert set_aside(plain, _exhausted(1), "stock", NOON).properties.message_id
