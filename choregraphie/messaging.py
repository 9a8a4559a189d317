"""The protocol between the engine and a broker: deliveries, outgoing messages, sessions. Batch by batch.

`choregraphie.broker` opens a session on RabbitMQ, the simulator one on its model. The protocol is batch-shaped
(many messages a call, one answer each), so that a faster client can take the place of the current one.
"""

import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

Scalar = str | int | float | bool
NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class Properties(NamedTuple):
    """The AMQP properties that a broker's tools show. They repeat the envelope; nothing is decided from them."""

    message_id: str | None = None
    type: str | None = None
    correlation_id: str | None = None
    app_id: str | None = None
    timestamp: dt.datetime | None = None
    content_type: str | None = None
    content_encoding: str | None = None


class Delivery(NamedTuple):
    """A message as it came. `tag` names it to the door that delivered it."""

    tag: int
    body: bytes
    exchange: str
    routing_key: str
    headers: Mapping[str, object] = NO_HEADERS
    properties: Properties = Properties()
    redelivered: bool = False

    @property
    def returns(self) -> int:
        """How often it came back unsettled. Counts for suspicion only: on RabbitMQ 4 a message inherits it."""
        if not self.redelivered:
            return 0  # RabbitMQ 4 passes on a count that a client has sent
        count = self.headers.get("x-delivery-count")
        return count if isinstance(count, int) else 1


class Outgoing(NamedTuple):
    """A message to publish: always persistent and mandatory. `expiration_ms` bounds its stay in a retry queue."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Properties
    headers: Mapping[str, Scalar] = NO_HEADERS
    expiration_ms: int | None = None


class PublishOutcome(Enum):
    """What became of a published message."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # no queue is bound for it
    REFUSED = "refused"  # a queue is full
    UNKNOWN = "unknown"  # no answer in time, or the session is lost: publish again with the same id


@dataclass(frozen=True, slots=True)
class QueueCount:
    messages: int
    consumers: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry of the history stream. `exchange` is the one it was published to."""

    offset: int
    exchange: str
    routing_key: str
    body: bytes
    headers: Mapping[str, object]
    timestamp: dt.datetime | None = None


class BrokerSession(Protocol):
    """An open session for one service. `lost` is why it is no more, or None while it lasts."""

    @property
    def lost(self) -> str | None: ...

    async def until_lost(self) -> str:
        """Wait until the session is lost, and return why."""

    async def consume(self) -> None:
        """Begin to receive. Raises BrokerUnavailable or BrokerRefused."""

    async def deliveries(self, most: int) -> list[Delivery]:
        """Wait for deliveries; at least one, at most `most`. Raises BrokerUnavailable when the session is lost."""

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish and wait for the answers, in the order of `batch`. Never raises for the broker's sake."""

    async def ack(self, tags: Sequence[int]) -> None:
        """Acknowledge: these deliveries are dealt with. On a lost session it does nothing; they come again."""

    async def requeue(self, tags: Sequence[int]) -> None:
        """Return deliveries that were never started."""

    async def is_consuming(self) -> bool:
        """Whether the broker says that the inbox has a consumer.

        Raises BrokerUnavailable, also when a queue is gone that this service publishes to.
        """

    async def stop_deliveries(self) -> list[Delivery]:
        """Ask for no more, and hand over what had already come."""


class History(Protocol):
    """An open reader of the history stream."""

    def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        """Entries from `start` on, in batches; an empty batch about twice a second when there are none.

        `start` is an offset, or a time: then some earlier entries may come first.
        """

    async def first(self) -> HistoryEntry | None:
        """The oldest entry kept, or None when the stream is empty. Raises BrokerUnavailable when it is silent."""

    async def last(self) -> HistoryEntry | None:
        """The newest entry, or None when the stream is empty. Raises BrokerUnavailable when it is silent."""

    async def counts(self, queues: Sequence[str]) -> Mapping[str, QueueCount | None]:
        """Messages and consumers of each of `queues` that exists; None where the broker refuses to count."""
