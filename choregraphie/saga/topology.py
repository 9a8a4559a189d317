"""The topology: exchanges, queues and bindings as data, derived from the choreography.

Comments say why each argument is there. Sources: RabbitMQ's documentation of quorum queues and streams, and
scripts run against 3.10.8 and 4.0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie.saga.choreography import Choreography

HISTORY = "saga.history"

# Our headers. They are scalars, because a stream of RabbitMQ 3.10 drops headers of other types.
ATTEMPT_HEADER = "x-saga-attempt"  # how many times the message has been tried
EXCHANGE_HEADER = "x-saga-exchange"  # the exchange of its first delivery, which names its sender
REASON_HEADER = "x-saga-reason"  # why it is a dead letter: one of `choregraphie.errors`
DETAIL_HEADER = "x-saga-detail"  # the same for a person, one line
SERVICE_HEADER = "x-saga-service"  # which service retried it or set it aside
NEXT_HEADER = "x-saga-next"  # when a retried message will be back, RFC 3339
TRACEPARENT_HEADER = "traceparent"

WORK_DELIVERY_LIMIT = 20
# RabbitMQ 4 drops a message after 20 redeliveries by default; people may look at a dead letter more often.
DEAD_LETTER_DELIVERY_LIMIT = 1_000_000
# A stream deletes whole segments, so they must be small against the bound.
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
    """The bounds of the history; the first one reached counts. `max_age` is in RabbitMQ's form: `7D`, `12h`."""

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
    """A delay in names and routing keys: `30`, or `250ms` (a dot would split a topic word)."""
    return f"{seconds:.0f}" if float(seconds).is_integer() else f"{seconds * 1000:.0f}ms"


def retry_queue(service: str, seconds: float) -> str:
    return f"{retry(service)}.{delay_name(seconds)}"


def _quorum(limit: int, dead_letter_exchange: str | None = None) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": limit}
    if dead_letter_exchange:
        # At-least-once dead-lettering needs all three arguments; without them a message can be lost.
        arguments |= {
            "x-dead-letter-exchange": dead_letter_exchange,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    return arguments


def _service_topology(
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
    # Only to the service that failed: through the topic exchange, a retry would reach every service.
    bindings.append(Binding(requeue(service), inbox(service), "#"))
    bindings.append(Binding(dlx(service), dlq(service), "#"))
    for seconds in delays:
        name = retry_queue(service, seconds)
        # One queue per delay: with a TTL per message, a long delay at the head blocks shorter ones behind it.
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
    sources = [events(speaker) for speaker in speakers]
    sources += [name(service) for service in services for name in (retry, dlx)]
    return stream, [Binding(exchange, HISTORY, "#") for exchange in sources]


def topology(choreography: Choreography, delays: Sequence[float], retention: Retention | None = None) -> Topology:
    """The topology of `choreography`, with a retry queue for each of `delays`, in seconds."""
    exchanges = [Exchange(events(speaker)) for speaker in choreography.speakers]
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for service in choreography.services:
        own_exchanges, own_queues, own_bindings = _service_topology(service, choreography, delays)
        exchanges += own_exchanges
        queues += own_queues
        bindings += own_bindings
    stream, sources = _history(choreography.services, choreography.speakers, retention or Retention())
    return Topology(tuple(exchanges), (*queues, stream), (*bindings, *sources))
