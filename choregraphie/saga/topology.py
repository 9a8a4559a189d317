"""Exchanges, queues and bindings as data, derived from the choreography.

Why each argument is there, and what goes wrong without it, is said at the line. Sources: RabbitMQ's
documentation of quorum queues and streams, and scripts tried on 3.10.8 and 4.0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie.saga.choreography import Choreography

HISTORY = "saga.history"

# Headers of our own. They are scalars: nothing else survives in a stream on RabbitMQ 3.10.
ATTEMPT_HEADER = "x-saga-attempt"  # how many times the message has been tried already
EXCHANGE_HEADER = "x-saga-exchange"  # the exchange of its first delivery: who sent it
REASON_HEADER = "x-saga-reason"  # why it is a dead letter: one of `choregraphie.errors`
DETAIL_HEADER = "x-saga-detail"  # the same for a person, one line
SERVICE_HEADER = "x-saga-service"  # which service retried it or set it aside
NEXT_HEADER = "x-saga-next"  # when a retried message will be back, RFC 3339
TRACEPARENT_HEADER = "traceparent"

WORK_DELIVERY_LIMIT = 20
# RabbitMQ 4 drops a message after 20 redeliveries unless told otherwise: a dead letter must outlive curiosity.
DEAD_LETTER_DELIVERY_LIMIT = 1_000_000
# Retention is by whole segments, so they must be small against the bound.
STREAM_SEGMENT_BYTES = 20_000_000


@dataclass(frozen=True)
class Exchange:
    name: str
    type: str = "topic"


@dataclass(frozen=True)
class Queue:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    exchange: str
    queue: str
    key: str


@dataclass(frozen=True)
class Topology:
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


@dataclass(frozen=True)
class Retention:
    """How much history is kept: whichever bound is met first. `max_age` is RabbitMQ's: `7D`, `12h`."""

    max_age: str = "7D"
    max_bytes: int = 2_000_000_000


def events(speaker: str) -> str:
    return f"{speaker}.events"


def inbox(service: str) -> str:
    return f"{service}.inbox"


def retry(service: str) -> str:
    return f"{service}.retry"


def requeue(service: str) -> str:
    return f"{service}.requeue"


def dlx(service: str) -> str:
    return f"{service}.dlx"


def dlq(service: str) -> str:
    return f"{service}.dlq"


def delay_name(seconds: float) -> str:
    """How a delay appears in names and routing keys: `30`, or `250ms` (a dot would split a topic word)."""
    return f"{seconds:.0f}" if float(seconds).is_integer() else f"{seconds * 1000:.0f}ms"


def retry_queue(service: str, seconds: float) -> str:
    return f"{retry(service)}.{delay_name(seconds)}"


def _quorum(limit: int, dead_letter_exchange: str | None = None) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": limit}
    if dead_letter_exchange:
        # At-least-once dead-lettering needs all three; without them a message can vanish on the way.
        arguments |= {
            "x-dead-letter-exchange": dead_letter_exchange,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    return arguments


def _of_service(
    service: str, choreography: Choreography, delays: Sequence[float]
) -> tuple[list[Exchange], list[Queue], list[Binding]]:
    exchanges = [Exchange(name(service)) for name in (retry, requeue, dlx)]
    queues = [
        Queue(inbox(service), _quorum(WORK_DELIVERY_LIMIT, dlx(service))),
        Queue(dlq(service), _quorum(DEAD_LETTER_DELIVERY_LIMIT)),
    ]
    bindings = [
        Binding(events(reaction.hears.SAID_BY), inbox(service), reaction.hears.TYPE)
        for reaction in choreography.heard_by(service)
    ]
    # Back to the one service that failed: dead-lettering a retry to the topic exchange would wake every other.
    bindings.append(Binding(requeue(service), inbox(service), "#"))
    bindings.append(Binding(dlx(service), dlq(service), "#"))
    for seconds in delays:
        name = retry_queue(service, seconds)
        # One queue per delay: with a TTL per message, a long delay at the head would block the short ones.
        ttl = {"x-message-ttl": round(seconds * 1000)}
        queues.append(Queue(name, _quorum(WORK_DELIVERY_LIMIT, requeue(service)) | ttl))
        bindings.append(Binding(retry(service), name, f"{delay_name(seconds)}.#"))
    return exchanges, queues, bindings


def _history(
    services: Sequence[str], speakers: Sequence[str], retention: Retention
) -> tuple[Queue, list[Binding]]:
    stream = Queue(
        HISTORY,
        {
            "x-queue-type": "stream",
            "x-max-age": retention.max_age,
            "x-max-length-bytes": retention.max_bytes,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        },
    )
    told = [events(speaker) for speaker in speakers]
    told += [name(service) for service in services for name in (retry, dlx)]
    return stream, [Binding(exchange, HISTORY, "#") for exchange in told]


def topology(choreography: Choreography, delays: Sequence[float], retention: Retention | None = None) -> Topology:
    """Everything the broker must hold for `choreography`, with a retry queue for each of `delays` (seconds)."""
    exchanges = [Exchange(events(speaker)) for speaker in choreography.speakers]
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for service in choreography.services:
        more_exchanges, more_queues, more_bindings = _of_service(service, choreography, delays)
        exchanges += more_exchanges
        queues += more_queues
        bindings += more_bindings
    stream, told = _history(choreography.services, choreography.speakers, retention or Retention())
    return Topology(tuple(exchanges), (*queues, stream), (*bindings, *told))
