"""A real broker and the model of it, driven by the same script: one face for both."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pika

from services.runtime import Properties
from services.simulation.broker import Broker, headers_of
from services.simulation.queues import Message

if TYPE_CHECKING:
    from contracts.topology import Topology

# What our runtime looks at, or what decides where a message goes.
DEATHS = ("x-first-death-queue", "x-first-death-reason", "x-first-death-exchange")


@dataclass(frozen=True)
class Seen:
    """A delivery, as far as our runtime relies on it."""

    body: bytes
    exchange: str
    routing_key: str
    redelivered: bool
    returns: int
    message_id: str | None
    first_death: tuple[object, ...]
    deaths: tuple[tuple[str, str, int], ...]


class Face(Protocol):
    def publish(
        self, exchange: str, key: str, body: bytes, headers: dict[str, Any], life_ms: int | None
    ) -> None: ...

    def take(self, queue: str) -> tuple[Seen, dict[str, Any]] | None: ...

    def settle(self, how: str, place: int) -> None: ...

    def lose_session(self) -> None: ...

    def rest(self) -> None: ...

    def counts(self) -> dict[str, int]: ...


def seen(message: Message) -> Seen:
    headers = headers_of(message)
    return Seen(
        message.body,
        message.exchange,
        message.routing_key,
        message.count > 0,
        headers.get("x-delivery-count") or 0,
        message.properties.message_id,
        tuple(headers.get(name) for name in DEATHS),
        _deaths(headers),
    )


def _deaths(headers: dict[str, Any]) -> tuple[tuple[str, str, int], ...]:
    return tuple((death["queue"], death["reason"], death["count"]) for death in headers.get("x-death") or ())


class Model:
    """The model, whose time passes only when it rests."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._held: list[tuple[str, int]] = []

    def publish(self, exchange: str, key: str, body: bytes, headers: dict[str, Any], life_ms: int | None) -> None:
        name = Properties(message_id=body.decode())
        self.broker.publish(Message(body, exchange, key, headers, name, life_ms))

    def take(self, queue: str) -> tuple[Seen, dict[str, Any]] | None:
        taken = self.broker.queues[queue].take()
        if taken is None:
            return None
        number, message = taken
        self._held.append((queue, number))
        return seen(message), headers_of(message)

    def settle(self, how: str, place: int) -> None:
        queue, number = self._held.pop(place)
        source = self.broker.queues[queue]
        {"ack": source.ack, "reject": source.reject, "requeue": source.give_back, "nack": source.give_back}[how](
            number
        )

    def lose_session(self) -> None:
        held, self._held = self._held, []
        for queue, number in held:
            self.broker.queues[queue].give_back(number)

    def rest(self) -> None:
        while (due := self.broker.next_expiry()) is not None:
            self.broker.expire(due)

    def counts(self) -> dict[str, int]:
        return {name: len(queue) for name, queue in self.broker.queues.items()}


class Real:
    """The broker at `url`, with the same topology; `model` says when it has come to rest."""

    def __init__(self, connection: pika.BlockingConnection, topology: Topology, model: Model) -> None:
        self._connection = connection
        self._publishing = connection.channel()
        self._publishing.confirm_delivery()
        self._taking = connection.channel()
        self._topology = topology
        self._model = model
        self._held: list[int] = []
        for exchange in topology.exchanges:
            self._publishing.exchange_declare(exchange.name, exchange.type, durable=True)
        for queue in topology.queues:
            self._publishing.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        for binding in topology.bindings:
            self._publishing.queue_bind(binding.queue, binding.exchange, binding.key)

    def publish(self, exchange: str, key: str, body: bytes, headers: dict[str, Any], life_ms: int | None) -> None:
        life = None if life_ms is None else str(life_ms)
        properties = pika.BasicProperties(
            delivery_mode=2, message_id=body.decode(), headers=headers, expiration=life
        )
        self._publishing.basic_publish(exchange, key, body, properties, mandatory=True)

    def take(self, queue: str) -> tuple[Seen, dict[str, Any]] | None:
        method, properties, body = self._taking.basic_get(queue)
        if method is None:
            return None
        self._held.append(method.delivery_tag)
        headers = properties.headers or {}
        found = Seen(
            body,
            method.exchange,
            method.routing_key,
            method.redelivered,
            headers.get("x-delivery-count") or 0,
            properties.message_id,
            tuple(headers.get(name) for name in DEATHS),
            _deaths(headers),
        )
        return found, headers

    def settle(self, how: str, place: int) -> None:
        tag = self._held.pop(place)
        if how == "ack":
            self._taking.basic_ack(tag)
        elif how == "nack":
            self._taking.basic_nack(tag, requeue=True)
        else:
            self._taking.basic_reject(tag, requeue=how == "requeue")

    def lose_session(self) -> None:
        self._taking.close()
        self._taking = self._connection.channel()
        self._held.clear()

    def rest(self, within_seconds: float = 5) -> None:
        """Wait until it holds what the model holds; what it holds then is compared by whoever asked."""
        end = time.monotonic() + within_seconds
        while self.counts() != self._model.counts() and time.monotonic() < end:
            self._connection.sleep(0.01)

    def counts(self) -> dict[str, int]:
        return {
            queue.name: self._publishing.queue_declare(queue.name, passive=True).method.message_count
            for queue in self._topology.queues
        }

    def close(self) -> None:
        for channel in (self._taking, self._publishing):
            if channel.is_open and channel is self._taking:
                channel.close()
        for queue in self._topology.queues:
            self._publishing.queue_delete(queue.name)
        for exchange in self._topology.exchanges:
            self._publishing.exchange_delete(exchange.name)
        self._publishing.close()
