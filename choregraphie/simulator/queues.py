"""A quorum queue and a stream as in RabbitMQ, without a clock of their own. Pure.

Only what our topology uses: a delivery limit, a TTL, at-least-once dead-lettering.
`tests/choregraphie/simulator/test_broker_model.py` compares order, counts and deaths with a real broker.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from choregraphie.messaging import Properties

Headers = Mapping[str, Any]

DELIVERY_COUNT = "x-delivery-count"
ACQUIRED_COUNT = "x-acquired-count"
NO_PROPERTIES = Properties()


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a queue.

    count        how often it came back to this queue, as the delivery limit counts
    acquired     how often it came back in all, where the broker counts that apart
    redelivered  the mark that its next delivery has
    deaths       where it was dead-lettered, the latest first
    """

    body: bytes
    exchange: str
    routing_key: str
    headers: Headers = field(default_factory=dict)
    properties: Properties = NO_PROPERTIES
    expiration_ms: int | None = None
    count: int = 0
    acquired: int = 0
    redelivered: bool = False
    deaths: tuple["Death", ...] = ()


@dataclass(frozen=True, slots=True)
class Death:
    """An entry of `x-death`: the queue, the reason, how many times."""

    queue: str
    reason: str
    exchange: str
    routing_key: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Queued:
    message: Message
    expires: float | None


class QuorumQueue:
    """A quorum queue.

    `dead_letter` is called with each message that dies here and the reason, and says whether a queue took it.
    `counts_acquired`: as in `Version`.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        dead_letter: Callable[["QuorumQueue", Message, str], bool],
        counts_acquired: bool = False,
    ) -> None:
        self.name = name
        limit, ttl_ms = arguments.get("x-delivery-limit"), arguments.get("x-message-ttl")
        self.limit: int | None = limit
        self.ttl: float | None = None if ttl_ms is None else ttl_ms / 1000
        self.dead_letter_exchange: str | None = arguments.get("x-dead-letter-exchange")
        self._dead_letter = dead_letter
        self._counts_acquired = counts_acquired
        self._ready: deque[_Queued] = deque()
        # Returned messages are delivered first, in the order of their return.
        self._returned: deque[_Queued] = deque()
        self._unacked: dict[int, _Queued] = {}
        self._number = 0
        # Dead, and no queue took them: the broker counts them and never delivers them.
        self.undeliverable: list[Message] = []

    def __len__(self) -> int:
        return len(self._ready) + len(self._returned)

    @property
    def unacked(self) -> int:
        return len(self._unacked)

    @property
    def messages(self) -> int:
        """What RabbitMQ's tools show as `messages`: ready, unacknowledged and undeliverable."""
        return len(self) + len(self._unacked) + len(self.undeliverable)

    def __iter__(self) -> Iterator[Message]:
        """The ready messages, in the order of their delivery."""
        yield from (queued.message for queued in (*self._returned, *self._ready))

    def put(self, message: Message, now: float) -> None:
        lifetimes = [ms / 1000 for ms in (message.expiration_ms,) if ms is not None]
        lifetimes += [] if self.ttl is None else [self.ttl]
        self._ready.append(_Queued(message, now + min(lifetimes) if lifetimes else None))

    def take(self) -> tuple[int, Message] | None:
        """The next delivery, with the number that settles it."""
        source = self._returned or self._ready
        if not source:
            return None
        self._number += 1
        self._unacked[self._number] = source.popleft()
        return self._number, self._unacked[self._number].message

    def ack(self, number: int) -> None:
        del self._unacked[number]

    def reject(self, number: int) -> None:
        """Reject without requeue: to the dead letters."""
        self._remove_dead(self._unacked.pop(number).message, "rejected")

    def requeue(self, number: int) -> None:
        """Put back after a reject with `requeue`, or a lost session: both count towards the delivery limit."""
        self._put_back(number, counts=True)

    def nack(self, number: int) -> None:
        """Put back after a nack with `requeue`."""
        self._put_back(number, counts=not self._counts_acquired)

    def _put_back(self, number: int, *, counts: bool) -> None:
        queued = self._unacked.pop(number)
        before = queued.message
        message = replace(
            before,
            count=before.count + counts,
            acquired=before.acquired + self._counts_acquired,
            redelivered=True,
        )
        if self.limit is not None and message.count > self.limit:
            self._remove_dead(message, "delivery_limit")
        else:
            self._returned.append(_Queued(message, queued.expires))

    def expire(self, now: float) -> None:
        """Dead-letter what is due, from the head only: a message behind one that lives longer waits."""
        while (head := self._head()) is not None and head.expires is not None and head.expires <= now:
            self._remove_dead((self._returned or self._ready).popleft().message, "expired")

    def next_expiry(self) -> float | None:
        head = self._head()
        return head.expires if head else None

    def _head(self) -> _Queued | None:
        source = self._returned or self._ready
        return source[0] if source else None

    def _remove_dead(self, message: Message, reason: str) -> None:
        if self.dead_letter_exchange is not None and not self._dead_letter(self, message, reason):
            self.undeliverable.append(message)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a stream."""

    message: Message
    time: float


class Stream:
    """A stream: every message ever put in, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[Entry] = []

    def put(self, message: Message, now: float) -> None:
        self.entries.append(Entry(message, now))
