"""The topology: exchanges, queues and bindings as data, derived from the sagas of an application.

Comments say why each argument is there. Sources: RabbitMQ's documentation of quorum queues and streams, and
scripts run against 3.10.8 and 4.0.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie.saga.declarations import EventClass
from choregraphie.saga.saga_set import SagaSet

HISTORY = "saga.history"
# What operators do about dead letters and unanswered steps: an exchange, and the stream that keeps all of it.
OPERATORS = "saga.operators"
AUDIT = "saga.audit"

# Our headers. They are scalars, because a stream of RabbitMQ 3.10 drops headers of other types.
ATTEMPT_HEADER = "x-saga-attempt"  # how many times the message has been tried
EXCHANGE_HEADER = "x-saga-exchange"  # the exchange of its first delivery, which names its sender
REASON_HEADER = "x-saga-reason"  # why it is a dead letter: one of `choregraphie.errors`
DETAIL_HEADER = "x-saga-detail"  # the same for a person, one line
SERVICE_HEADER = "x-saga-service"  # which service retried it or set it aside
NEXT_HEADER = "x-saga-next"  # when a retried message will be back, RFC 3339
SET_ASIDE_HEADER = "x-saga-set-aside"  # when a service set it aside as a dead letter, RFC 3339
# Headers that an operator's tool adds: who sent a dead letter back, holds it or has edited it.
REPLAYED_HEADER = "x-saga-replayed"
HELD_HEADER = "x-saga-held"
EDITED_HEADER = "x-saga-edited"
LETTER_HEADER = "x-saga-letter"  # the id of a held letter
ORIGINAL_HEADER = "x-saga-original"  # the id of the letter in whose place an edited one is
# Headers of a notice about a hold: no message of the saga, but what a worker says of its inbox.
OUTSIDE_HEADER = "x-saga-outside"  # the outside system that is down
HOLD_HEADER = "x-saga-hold"  # `open` while its calls are held, then `closed`
SINCE_HEADER = "x-saga-since"  # since when, RFC 3339
UNTIL_HEADER = "x-saga-until"  # until when at the latest, RFC 3339
SIGNATURE_HEADER = "x-saga-signature"  # of the event by its speaker; it stays with the bytes wherever they go

# The routing key of such a notice. It goes by the retry exchange, where no delay has this name: it reaches the
# history alone.
HOLD_KEY = "hold"

WORK_DELIVERY_LIMIT = 20
# RabbitMQ 4 drops a message after 20 redeliveries by default; people may look at a dead letter more often.
DEAD_LETTER_DELIVERY_LIMIT = 1_000_000
# A stream deletes whole segments, so they must be small against the bound.
STREAM_SEGMENT_BYTES = 20_000_000
# A record takes about half a kilobyte, and the bytes of a message that was discarded or edited.
AUDIT_BYTES = 2_000_000_000


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
    # The services that each service commands; empty in a choreography.
    commanded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def published_by(self, service: str) -> tuple[str, ...]:
        """The exchanges to which `service` publishes what it says."""
        return (events(service), *map(commands, self.commanded.get(service, ())))


@dataclass(frozen=True)
class Retention:
    """The bounds of the history; the first one reached counts. `max_age` is in RabbitMQ's form: `7D`, `12h`."""

    max_age: str = "7D"
    max_bytes: int = 2_000_000_000


def events(speaker: str) -> str:
    return f"{speaker}.events"


def commands(service: str) -> str:
    return f"{service}.commands"


_OF_FIRST_DELIVERY = (events(""), commands(""))


def exchange_of(event: EventClass) -> str:
    """The exchange that events of this class come by: that of a command's receiver, or of an event's speaker."""
    return commands(event.SAID_TO) if event.SAID_TO else events(event.SAID_BY)


def is_of_first_delivery(exchange: str) -> bool:
    """Whether messages come by `exchange` when they are delivered for the first time."""
    return exchange.endswith(_OF_FIRST_DELIVERY)


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
    service: str, sagas: SagaSet, delays: Sequence[float]
) -> tuple[list[Exchange], list[Queue], list[Binding]]:
    exchanges = [Exchange(name(service)) for name in (retry, requeue, dlx)]
    queues = [
        Queue(inbox(service), _quorum(WORK_DELIVERY_LIMIT, dlx(service))),
        Queue(dlq(service), _quorum(DEAD_LETTER_DELIVERY_LIMIT)),
    ]
    bindings = [
        Binding(exchange_of(heard), inbox(service), heard.TYPE)
        for reaction in sagas.heard_by(service)
        for heard in reaction.awaits
    ]
    # Only to the service that failed: through the topic exchange, a retry would reach every service.
    bindings.append(Binding(requeue(service), inbox(service), "#"))
    bindings.append(Binding(dlx(service), dlq(service), "#"))
    for seconds in sagas.delays_of(service, delays):
        name = retry_queue(service, seconds)
        # One queue per delay: with a TTL per message, a long delay at the head blocks shorter ones behind it.
        ttl = {"x-message-ttl": round(seconds * 1000)}
        queues.append(Queue(name, _quorum(WORK_DELIVERY_LIMIT, requeue(service)) | ttl))
        bindings.append(Binding(retry(service), name, f"{delay_name(seconds)}.#"))
    return exchanges, queues, bindings


def _history(services: Sequence[str], first: Sequence[str], retention: Retention) -> tuple[Queue, list[Binding]]:
    stream = Queue(
        HISTORY,
        {
            "x-queue-type": "stream",
            "x-max-age": retention.max_age,
            "x-max-length-bytes": retention.max_bytes,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        },
    )
    sources = [*first, *(name(service) for service in services for name in (retry, dlx))]
    return stream, [Binding(exchange, HISTORY, "#") for exchange in sources]


def _audit() -> tuple[Queue, list[Binding]]:
    # No bound on its age: an audit is read years later.
    stream = Queue(
        AUDIT,
        {
            "x-queue-type": "stream",
            "x-max-length-bytes": AUDIT_BYTES,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        },
    )
    return stream, [Binding(OPERATORS, queue, "#") for queue in (AUDIT, HISTORY)]


def topology(sagas: SagaSet, delays: Sequence[float], retention: Retention | None = None) -> Topology:
    """The topology of `sagas`, with retry queues for `delays` (s), and for those that a service declares."""
    first = [events(speaker) for speaker in sagas.speakers]
    first += dict.fromkeys(commands(name) for names in sagas.commanded.values() for name in names)
    exchanges = [*map(Exchange, first)]
    queues: list[Queue] = []
    bindings: list[Binding] = []
    for service in sagas.services:
        own_exchanges, own_queues, own_bindings = _service_topology(service, sagas, delays)
        exchanges += own_exchanges
        queues += own_queues
        bindings += own_bindings
    stream, sources = _history(sagas.services, first, retention or Retention())
    audit, acts = _audit()
    exchanges.append(Exchange(OPERATORS))
    return Topology(tuple(exchanges), (*queues, audit, stream), (*bindings, *sources, *acts), sagas.commanded)


def matches(pattern: str, key: str) -> bool:
    """Whether a topic pattern matches `key`: `*` stands for one word, `#` for any number of them."""
    return _matches(pattern.split("."), key.split("."))


def _matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return _matches(pattern[1:], words) or bool(words and _matches(pattern, words[1:]))
    return bool(words) and pattern[0] in {"*", words[0]} and _matches(pattern[1:], words[1:])
