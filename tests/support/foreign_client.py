"""A foreign client: pika and plain bytes, without code of the project, so that it shares none of its errors."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pika
from pika.exceptions import AMQPError, UnroutableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Generous: on a busy machine a step may take many times as long as usual.
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as the broker delivered it."""

    exchange: str
    key: str
    body: bytes
    properties: pika.BasicProperties
    redelivered: bool = False

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def headers(self) -> dict[str, Any]:
        return dict(self.properties.headers or {})


class Subscription:
    """A private queue bound to exchanges. `received` keeps every message, in order."""

    def __init__(self, channel: Any, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self.received: list[ReceivedMessage] = []

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.received]

    def until(
        self, enough: Callable[[list[ReceivedMessage]], bool], within_seconds: float = PATIENCE_SECONDS
    ) -> list[ReceivedMessage]:
        """Read until `enough` holds. Raises AssertionError with the keys received when it does not in time."""
        deadline = time.monotonic() + within_seconds
        while not self._drain(enough):
            if time.monotonic() > deadline:
                raise AssertionError(f"not enough after {within_seconds} s; received {self.keys}")
            self._channel.connection.sleep(0.02)
        return self.received

    def count(self, wanted: int, within_seconds: float = PATIENCE_SECONDS) -> list[ReceivedMessage]:
        return self.until(lambda received: len(received) >= wanted, within_seconds)

    def during(self, seconds: float) -> list[ReceivedMessage]:
        """Every message up to now and for this long, to show that one does *not* come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._drain(lambda _: False)
            self._channel.connection.sleep(0.02)
        return self.received

    def _drain(self, enough: Callable[[list[ReceivedMessage]], bool]) -> bool:
        while not enough(self.received):
            message = take(self._channel, self._queue)
            if message is None:
                return False
            self.received.append(message)
        return True


class ForeignClient:
    """One connection. With `confirms` a publish waits for the broker."""

    def __init__(self, url: str, *, confirms: bool = True) -> None:
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0  # a test may not read for longer than a heartbeat
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        if confirms:
            self._channel.confirm_delivery()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        # A test may have had the broker close the connection, which pika notices only now.
        with contextlib.suppress(AMQPError):
            self._connection.close()

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes | Mapping[str, Any],
        headers: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> bool:
        """Publish with these properties and mandatory. Returns False when the message is unroutable."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        wanted = pika.BasicProperties(headers=dict(headers) if headers is not None else None, **properties)
        try:
            self._channel.basic_publish(exchange, key, content, wanted, mandatory=True)
        except UnroutableError:
            return False
        return True

    def subscribe(self, *exchanges: str, key: str = "#") -> Subscription:
        """Subscribe to these exchanges, which must exist."""
        channel = self._connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        for exchange in exchanges:
            channel.queue_bind(queue, exchange, key)
        return Subscription(channel, queue)

    def declare_exchange(self, name: str, kind: str = "topic") -> None:
        self._channel.exchange_declare(name, kind, durable=True)

    def declare_queue(self, name: str, **arguments: Any) -> None:
        self._channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum", **arguments})

    def bind(self, queue: str, exchange: str, key: str) -> None:
        self._channel.queue_bind(queue, exchange, key)

    def bind_exchange(self, destination: str, source: str, key: str) -> None:
        self._channel.exchange_bind(destination, source, key)

    def consume(self, queue: str) -> None:
        """Be a consumer of the queue until the client is closed, without taking a message."""
        channel = self._connection.channel()
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(queue, lambda *_: None)

    def get(self, queue: str, within_seconds: float = 0) -> ReceivedMessage | None:
        """Take the first message, or None when none comes in time."""
        deadline = time.monotonic() + within_seconds
        while (message := take(self._channel, queue)) is None and time.monotonic() < deadline:
            self._connection.sleep(0.05)
        return message

    def refuse(self, queue: str, times: int) -> None:
        """Take the first message and requeue it, this many times."""
        for _ in range(times):
            method = None
            while method is None:
                method, _, _ = self._channel.basic_get(queue)
            self._channel.basic_reject(method.delivery_tag, requeue=True)

    def reject(self, queue: str, within_seconds: float = PATIENCE_SECONDS) -> bytes:
        """Take the first message, reject it for good, and return its body."""
        deadline = time.monotonic() + within_seconds
        while True:
            method, _, body = self._channel.basic_get(queue)
            if method is not None:
                break
            assert time.monotonic() < deadline, f"{queue} stays empty"
            self._connection.sleep(0.05)
        self._channel.basic_reject(method.delivery_tag, requeue=False)
        content: bytes = body
        return content

    def count(self, queue: str) -> int:
        """The number of ready messages, exactly."""
        ready: int = self._passive(queue).message_count
        return ready

    def consumers(self, queue: str) -> int:
        consumers: int = self._passive(queue).consumer_count
        return consumers

    def read_stream(
        self, queue: str, wanted: int, within_seconds: float = PATIENCE_SECONDS
    ) -> list[ReceivedMessage]:
        """The first `wanted` entries of a stream, or fewer when no more come in time."""
        channel = self._connection.channel()
        channel.basic_qos(prefetch_count=100)
        entries: list[ReceivedMessage] = []
        for method, properties, body in channel.consume(
            queue, arguments={"x-stream-offset": "first"}, inactivity_timeout=within_seconds
        ):
            if method is None:
                break
            channel.basic_ack(method.delivery_tag)
            entries.append(ReceivedMessage(method.exchange, method.routing_key, body, properties))
            if len(entries) >= wanted:
                break
        channel.cancel()
        channel.close()
        return entries

    def _passive(self, queue: str) -> Any:
        # On a channel of its own: a passive declaration of a missing queue closes the channel.
        channel = self._connection.channel()
        try:
            return channel.queue_declare(queue, passive=True).method
        finally:
            if channel.is_open:
                channel.close()


def take(channel: Any, queue: str) -> ReceivedMessage | None:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    if method is None:
        return None
    return ReceivedMessage(method.exchange, method.routing_key, body, properties, method.redelivered)
