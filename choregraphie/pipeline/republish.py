"""The messages that leave the pipeline in place of an event: to be tried again, or set aside as dead letters.

Their headers record what happened to the message so far; the functions that read them are here too.
"""

import datetime as dt

from choregraphie.messaging import Delivery, HeaderValue, Outgoing
from choregraphie.saga.content_modes import republished_attributes
from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    DETAIL_HEADER,
    EXCHANGE_HEADER,
    NEXT_HEADER,
    REASON_HEADER,
    REPLAYED_HEADER,
    SERVICE_HEADER,
    SET_ASIDE_HEADER,
    SIGNATURE_HEADER,
    delay_name,
    dlx,
    is_of_first_delivery,
    requeue,
    retry,
)
from choregraphie.saga.trace_context import kept_headers
from choregraphie.service.verdict import DeadLetter, RetryAfter

# The whole header table must fit one frame.
_LONGEST_HEADER = 1000
_FIRST_DEATH = "x-first-death-exchange"


def for_another_try(
    delivery: Delivery, verdict: RetryAfter, service: str, wait_ms: int, back: dt.datetime
) -> Outgoing:
    """The same bytes for the retry queue of that delay, which returns them to `service` alone at about `back`."""
    expected = back.isoformat(timespec="milliseconds")
    return Outgoing(
        exchange=retry(service),
        routing_key=f"{delay_name(verdict.seconds)}.{_first_routing_key(delivery, service)}",
        body=delivery.body,
        properties=delivery.properties.with_id(),
        headers=_headers(delivery, service, verdict.attempt, verdict.detail) | {NEXT_HEADER: expected},
        expiration_ms=wait_ms,
    )


def set_aside(delivery: Delivery, verdict: DeadLetter, service: str, at: dt.datetime) -> Outgoing:
    """The same bytes for the dead-letter queue of `service`, with the reason and the time `at`."""
    headers = _headers(delivery, service, verdict.attempt, verdict.detail)
    return Outgoing(
        exchange=dlx(service),
        routing_key=_first_routing_key(delivery, service),
        body=delivery.body,
        properties=delivery.properties.with_id(),
        headers=headers
        | {REASON_HEADER: verdict.reason.value, SET_ASIDE_HEADER: at.isoformat(timespec="milliseconds")},
    )


def _headers(delivery: Delivery, service: str, attempt: int, detail: str) -> dict[str, HeaderValue]:
    """Our own headers, the trace context, the signature, the attributes of binary mode, and no other header.

    A message that is republished with its `x-death` is lost on RabbitMQ 3 when it meets a queue named there, and
    `CC` would send copies past the topology.
    """
    headers: dict[str, HeaderValue] = {
        **republished_attributes(delivery.headers, delivery.properties.content_type),
        **kept_headers(delivery.headers),
        ATTEMPT_HEADER: attempt,
        EXCHANGE_HEADER: (first_exchange(delivery, service) or delivery.exchange)[:_LONGEST_HEADER],
        SERVICE_HEADER: service,
        DETAIL_HEADER: detail[:_LONGEST_HEADER],
    }
    # On a first delivery its sender wrote the second of them, and nobody replayed the message.
    for name in (SIGNATURE_HEADER, *((REPLAYED_HEADER,) if _came_back(delivery, service) else ())):
        value = delivery.headers.get(name)
        if isinstance(value, str):
            headers[name] = value[:_LONGEST_HEADER]
    return headers


def attempt_of(delivery: Delivery, service: str) -> int:
    """The number of this try, 1 for the first. Our own header counts, and only on a delivery that came back.

    The broker's counters say nothing after a dead-lettering on RabbitMQ 4.
    """
    tried = delivery.headers.get(ATTEMPT_HEADER)
    return tried + 1 if _came_back(delivery, service) and isinstance(tried, int) and tried > 0 else 1


def first_exchange(delivery: Delivery, service: str) -> str | None:
    """The exchange of the first delivery of this message; None when it came back and no header says it.

    On a message that came back our own header counts, so a forgery that an operator sends back is refused again.
    """
    if not _came_back(delivery, service):
        return delivery.exchange
    first = delivery.headers.get(EXCHANGE_HEADER)
    if isinstance(first, str) and first != delivery.exchange:
        return first
    # The broker set it aside and an operator sent it back, so it has no such header of ours. The broker's own
    # header names the exchange, unless the message first died in a retry queue.
    died = delivery.headers.get(_FIRST_DEATH)
    return died if isinstance(died, str) and is_of_first_delivery(died) else None


def _first_routing_key(delivery: Delivery, service: str) -> str:
    """The routing key of the first delivery: on the way back, the delay stands before it."""
    key = delivery.routing_key
    return key.partition(".")[2] if _came_back(delivery, service) and key[:1].isdigit() else key


def _came_back(delivery: Delivery, service: str) -> bool:
    return delivery.exchange == requeue(service)
