"""The protocol between the engine and a broker: deliveries, outgoing messages, sessions. Batch by batch.

`choregraphie.broker` opens a session on RabbitMQ, the simulator one on its model. Each call takes many messages
and returns one outcome for each, so that a faster client can replace the current one.
"""

import datetime as dt
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

HeaderValue = str | int | float | bool | bytes
NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class Properties(NamedTuple):
    """The AMQP properties that a broker's tools show. They repeat the envelope.

    No decision depends on them, but for the content type of a message whose attributes are headers.
    """

    message_id: str | None = None
    type: str | None = None
    correlation_id: str | None = None
    app_id: str | None = None
    timestamp: dt.datetime | None = None
    content_type: str | None = None
    content_encoding: str | None = None

    def with_id(self) -> "Properties":
        """The same with a message id, new where there is none: a publisher knows a returned message by it."""
        return self if self.message_id else self._replace(message_id=str(uuid.uuid4()))


class ContentHeader(NamedTuple):
    """The header of a message, decoded."""

    headers: Mapping[str, object] = NO_HEADERS
    properties: Properties = Properties()

    @property
    def content_type(self) -> str | None:
        return self.properties.content_type


class ReadableHeader(Protocol):
    """A header of a message, decoded or not: each part may be decoded when it is asked for."""

    @property
    def headers(self) -> Mapping[str, object]: ...

    @property
    def properties(self) -> Properties: ...

    @property
    def content_type(self) -> str | None: ...


class Delivery(NamedTuple):
    """A message as it was received. `tag` identifies it to the session that delivered it."""

    tag: int
    body: bytes
    exchange: str
    routing_key: str
    header: ReadableHeader = ContentHeader()
    redelivered: bool = False

    @property
    def headers(self) -> Mapping[str, object]:
        return self.header.headers

    @property
    def properties(self) -> Properties:
        return self.header.properties

    @property
    def content_type(self) -> str | None:
        return self.header.content_type

    @property
    def returns(self) -> int:
        """How often it was returned unacknowledged.

        Only a hint: on RabbitMQ 4 a dead letter inherits the count.
        """
        if not self.redelivered:
            return 0  # RabbitMQ 4 passes on a count that a client sent
        count = self.headers.get("x-delivery-count")
        return count if isinstance(count, int) else 1


class Outgoing(NamedTuple):
    """A message to publish: always persistent and mandatory. `expiration_ms` bounds its stay in a retry queue."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Properties
    headers: Mapping[str, HeaderValue] = NO_HEADERS
    expiration_ms: int | None = None


class PublishOutcome(Enum):
    """The outcome of a published message."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # no queue is bound for it
    REFUSED = "refused"  # a queue is full
    UNKNOWN = "unknown"  # no confirm in time, or the session is lost: publish again with the same id


@dataclass(frozen=True, slots=True)
class QueueCount:
    messages: int
    consumers: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry of the history stream. `exchange` is the exchange that it was published to."""

    offset: int
    exchange: str
    routing_key: str
    body: bytes
    headers: Mapping[str, object]
    timestamp: dt.datetime | None = None
    content_type: str | None = None


class BrokerSession(Protocol):
    """An open session for one service. `lost` is the reason why it was lost, or None."""

    @property
    def lost(self) -> str | None: ...

    async def until_lost(self) -> str:
        """Wait until the session is lost, and return why."""

    async def consume(self) -> None:
        """Start to receive. Raises BrokerUnavailable or BrokerRefused."""

    async def deliveries(self, most: int) -> list[Delivery]:
        """Wait for deliveries: one to `most`. Raises BrokerUnavailable when the session is lost."""

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish and wait for the confirms.

        Return the outcomes in the order of `batch`; no broker error is raised.
        """

    async def ack(self, tags: Sequence[int]) -> None:
        """Acknowledge these deliveries, perhaps some milliseconds later together with others.

        On a lost session it does nothing, and they are redelivered.
        """

    async def requeue(self, tags: Sequence[int]) -> None:
        """Return deliveries that were never started."""

    async def is_consuming(self) -> bool:
        """Whether the inbox has a consumer, as the broker sees it.

        Raises BrokerUnavailable, also when a queue is missing that receives what this service publishes.
        """

    async def stop_deliveries(self) -> list[Delivery]:
        """Stop receiving, and return what has been received and not handed out."""


class History(Protocol):
    """An open reader of the history stream."""

    def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        """Entries from `start` on, in batches; an empty batch about twice a second when there are none.

        `start` is an offset or a time. With a time, some earlier entries may come first.
        """

    async def first(self) -> HistoryEntry | None:
        """The oldest entry, or None when the stream is empty.

        Raises BrokerUnavailable when it delivers nothing.
        """

    async def last(self) -> HistoryEntry | None:
        """The newest entry, or None when the stream is empty.

        Raises BrokerUnavailable when it delivers nothing.
        """

    async def counts(self, queues: Sequence[str]) -> Mapping[str, QueueCount | None]:
        """Messages and consumers of each of `queues` that exists; None where the broker refuses to count."""
