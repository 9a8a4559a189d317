"""A real broker, driven by a script: sessions, consumers with a prefetch, a reader of the history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import UnroutableError

from tests.choregraphie.simulator.observation import Seen, by_rabbitmq

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.saga.topology import Queue, Topology

# The credit of the history reader: more than a script publishes.
_WINDOW = 200


@dataclass(frozen=True)
class Arrival:
    """A delivery to a session of `worker`, with all its headers."""

    worker: str
    queue: str
    tag: int
    seen: Seen
    headers: dict[str, Any]


class Real:
    """Each of `workers` has a session. `arrivals`: the deliveries since it was last emptied; `entries`: all."""

    def __init__(self, connection: pika.BlockingConnection, workers: tuple[str, ...]) -> None:
        self.arrivals: list[Arrival] = []
        self.entries: dict[str, list[Seen]] = {}
        self._connection = connection
        self._control = connection.channel()
        self._control.confirm_delivery()
        self._reading = connection.channel()
        self._reading.basic_qos(prefetch_count=_WINDOW)
        self._sessions = {worker: connection.channel() for worker in workers}
        self._consumers: dict[tuple[str, str], str] = {}
        self._queues: list[str] = []
        self._exchanges: list[str] = []

    def declare(self, part: Topology) -> None:
        for exchange in part.exchanges:
            self._control.exchange_declare(exchange.name, exchange.type, durable=True)
            self._exchanges.append(exchange.name)
        for queue in part.queues:
            self._control.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            self._known(queue)
        for binding in part.bindings:
            self._control.queue_bind(binding.queue, binding.exchange, binding.key)

    def _known(self, queue: Queue) -> None:
        if queue.arguments["x-queue-type"] != "stream":
            if queue.name not in self._queues:
                self._queues.append(queue.name)
        elif queue.name not in self.entries:
            self.entries[queue.name] = []
            first = {"x-stream-offset": "first"}
            self._reading.basic_consume(queue.name, partial(self._read, queue.name), arguments=first)

    def _read(self, stream: str, channel: Any, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        self.entries[stream].append(by_rabbitmq(method, properties, body))
        channel.basic_ack(method.delivery_tag)

    def publish(self, exchange: str, key: str, body: bytes, headers: dict[str, Any], life_ms: int | None) -> bool:
        """Publish. Returns whether a queue was bound to the key."""
        life = None if life_ms is None else str(life_ms)
        properties = pika.BasicProperties(
            delivery_mode=2, message_id=body.decode(), headers=headers, expiration=life
        )
        try:
            self._control.basic_publish(exchange, key, body, properties, mandatory=True)
        except UnroutableError:
            return False
        return True

    def consume(self, worker: str, queue: str, prefetch: int) -> None:
        session = self._sessions[worker]
        session.basic_qos(prefetch_count=prefetch)
        self._consumers[worker, queue] = session.basic_consume(queue, partial(self._arrive, worker, queue))

    def _arrive(
        self, worker: str, queue: str, _: Any, method: Any, properties: pika.BasicProperties, body: bytes
    ) -> None:
        seen = by_rabbitmq(method, properties, body)
        self.arrivals.append(Arrival(worker, queue, method.delivery_tag, seen, properties.headers or {}))

    def cancel(self, worker: str, queue: str) -> None:
        self._sessions[worker].basic_cancel(self._consumers.pop((worker, queue)))

    def take(self, worker: str, queue: str) -> None:
        session = self._sessions[worker]
        method, properties, body = session.basic_get(queue)
        if method is not None:
            self._arrive(worker, queue, session, method, properties, body)

    def settle(self, how: str, worker: str, tag: int) -> None:
        session = self._sessions[worker]
        if how == "ack":
            session.basic_ack(tag)
        elif how == "nack":
            session.basic_nack(tag, requeue=True)
        else:
            session.basic_reject(tag, requeue=how == "requeue")

    def lose(self, worker: str) -> None:
        self._sessions[worker].close()
        self._sessions[worker] = self._connection.channel()
        self._consumers = {who: tag for who, tag in self._consumers.items() if who[0] != worker}

    def rest(self, is_at_rest: Callable[[], bool], within_seconds: float = 30) -> None:
        """Wait until two consecutive looks see the same counts; the caller compares what is there then."""
        end = time.monotonic() + within_seconds
        calm = 0
        while calm < 2 and time.monotonic() < end:
            self._connection.process_data_events(time_limit=0.002)
            calm = calm + 1 if is_at_rest() else 0

    def counts(self) -> dict[str, int]:
        """The number of ready messages in each queue."""
        return {
            name: self._control.queue_declare(name, passive=True).method.message_count for name in self._queues
        }

    def arrived(self) -> dict[str, int]:
        """Deliveries from each queue since the arrivals were emptied, and entries of each stream."""
        streams = {name: len(entries) for name, entries in self.entries.items()}
        return streams | {name: sum(found.queue == name for found in self.arrivals) for name in self._queues}

    def close(self) -> None:
        for stream in self.entries:
            self._control.queue_delete(stream)
        # Pika requeues what it has not delivered yet, and a stream closes the connection for that.
        self._connection.process_data_events(time_limit=0)
        for channel in (*self._sessions.values(), self._reading):
            channel.close()
        for queue in self._queues:
            self._control.queue_delete(queue)
        for exchange in self._exchanges:
            self._control.exchange_delete(exchange)
        self._control.close()
