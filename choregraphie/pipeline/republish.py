"""What is published instead of an answer: a message sent round for another try, or set aside."""

import datetime as dt
import uuid

from choregraphie.messaging import Delivery, Outgoing, Properties, Scalar
from choregraphie.saga.topology import (
    ATTEMPT_HEADER,
    DETAIL_HEADER,
    EXCHANGE_HEADER,
    NEXT_HEADER,
    REASON_HEADER,
    SERVICE_HEADER,
    TRACEPARENT_HEADER,
    delay_name,
    dlx,
    retry,
)
from choregraphie.service.verdict import DeadLetter, RetryAfter

# The whole table must fit one frame; a reason is for reading, not for evidence.
_LONGEST_HEADER = 1000


def for_another_try(
    delivery: Delivery, verdict: RetryAfter, service: str, wait_ms: int, back: dt.datetime
) -> Outgoing:
    """The same bytes, through the retry queue of that delay, back to this service alone at about `back`."""
    expected = back.isoformat(timespec="milliseconds")
    return Outgoing(
        exchange=retry(service),
        routing_key=f"{delay_name(verdict.seconds)}.{_type(delivery)}",
        body=delivery.body,
        properties=_identified(delivery.properties),
        headers=_headers(delivery, service, verdict.attempt, verdict.detail) | {NEXT_HEADER: expected},
        expiration_ms=wait_ms,
    )


def set_aside(delivery: Delivery, verdict: DeadLetter, service: str) -> Outgoing:
    """The same bytes, in the dead-letter queue, with the reason."""
    headers = _headers(delivery, service, verdict.attempt, verdict.detail)
    return Outgoing(
        exchange=dlx(service),
        routing_key=_type(delivery),
        body=delivery.body,
        properties=_identified(delivery.properties),
        headers=headers | {REASON_HEADER: verdict.reason.value},
    )


def _headers(delivery: Delivery, service: str, attempt: int, detail: str) -> dict[str, Scalar]:
    """Ours and the trace's, and nothing else of what came.

    A message published again with its `x-death` is lost on RabbitMQ 3 when it meets a queue named there, and
    `CC` would send copies past the topology.
    """
    headers: dict[str, Scalar] = {
        ATTEMPT_HEADER: attempt,
        EXCHANGE_HEADER: _first_exchange(delivery),
        SERVICE_HEADER: service,
        DETAIL_HEADER: detail[:_LONGEST_HEADER],
    }
    trace = delivery.headers.get(TRACEPARENT_HEADER)
    if isinstance(trace, str):
        headers[TRACEPARENT_HEADER] = trace[:_LONGEST_HEADER]
    return headers


def _first_exchange(delivery: Delivery) -> str:
    """Who sent it, kept across retries."""
    kept = delivery.headers.get(EXCHANGE_HEADER)
    came_back = delivery.exchange.endswith(".requeue")
    return kept[:_LONGEST_HEADER] if came_back and isinstance(kept, str) else delivery.exchange


def _type(delivery: Delivery) -> str:
    """The routing key it first came with: on its way back, the delay stands before it."""
    key = delivery.routing_key
    return key.partition(".")[2] if delivery.exchange.endswith(".requeue") and key[:1].isdigit() else key


def _identified(properties: Properties) -> Properties:
    """Returned messages are matched by message id, so one that came without gets one for the way."""
    return properties if properties.message_id else properties._replace(message_id=str(uuid.uuid4()))
