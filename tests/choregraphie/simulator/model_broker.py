"""The model of the broker, driven by a script: consumers with a prefetch; time passes only between steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from choregraphie.messaging import Properties
from choregraphie.simulator.queues import DELIVERY_COUNT, Message

if TYPE_CHECKING:
    from choregraphie.saga.topology import Topology
    from choregraphie.simulator.broker_model import Broker


@dataclass(frozen=True)
class Leaving:
    """A message that left its queue for one of the consumers; the broker does not promise which one."""

    queue: str
    number: int
    message: Message


class Model:
    """The model. `held`: worker, queue and number of each unacknowledged delivery.

    The script fills `held`, because only the real broker decides which consumer gets a message.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.held: list[tuple[str, str, int]] = []
        self.leaving: list[Leaving] = []
        self.prefetch: dict[tuple[str, str], int] = {}

    def declare(self, part: Topology) -> None:
        self.broker.declare(part)

    def publish(self, exchange: str, key: str, body: bytes, headers: dict[str, Any], life_ms: int | None) -> bool:
        name = Properties(message_id=body.decode())
        return bool(self.broker.publish(Message(body, exchange, key, headers, name, life_ms)))

    def consume(self, worker: str, queue: str, prefetch: int) -> None:
        self.prefetch[worker, queue] = prefetch

    def cancel(self, worker: str, queue: str) -> None:
        del self.prefetch[worker, queue]

    def take(self, queue: str) -> None:
        """Take a message with `basic.get`."""
        self._out(queue, passes_count=self.broker.version.passes_delivery_count)

    def _out(self, queue: str, *, passes_count: bool = True) -> None:
        if (taken := self.broker.queues[queue].take()) is None:
            return
        number, message = taken
        if not passes_count:
            sent = {name: value for name, value in message.headers.items() if name != DELIVERY_COUNT}
            message = replace(message, headers=sent)
        self.leaving.append(Leaving(queue, number, message))

    def settle(self, how: str, held: tuple[str, str, int]) -> None:
        self.held.remove(held)
        _, queue, number = held
        source = self.broker.queues[queue]
        ways = {"ack": source.ack, "reject": source.reject, "requeue": source.requeue, "nack": source.nack}
        ways[how](number)

    def lose(self, worker: str) -> None:
        """End the session of `worker` with its consumers; its deliveries go back in their order."""
        self.prefetch = {who: n for who, n in self.prefetch.items() if who[0] != worker}
        lost = sorted(held for held in self.held if held[0] == worker)
        self.held = [held for held in self.held if held[0] != worker]
        for _, queue, number in lost:
            self.broker.queues[queue].requeue(number)

    def rest(self) -> None:
        self._deliver()
        while (due := self.broker.next_expiry()) is not None:
            self.broker.expire(due)
            self._deliver()

    def _deliver(self) -> None:
        for name in self.broker.queues:
            for _ in range(self._room(name)):
                self._out(name)

    def _room(self, queue: str) -> int:
        """How many more deliveries its consumers may hold together."""
        may = sum(prefetch for (_, name), prefetch in self.prefetch.items() if name == queue)
        consumed = sum(1 for worker, name, _ in self.held if name == queue and (worker, name) in self.prefetch)
        return max(0, may - consumed - sum(1 for left in self.leaving if left.queue == queue))

    def counts(self) -> dict[str, int]:
        return {name: len(queue) for name, queue in self.broker.queues.items()}

    def arrived(self) -> dict[str, int]:
        """The number of messages that left each queue since the last comparison, and of entries in each stream."""
        streams = {name: len(stream.entries) for name, stream in self.broker.streams.items()}
        return streams | {name: sum(left.queue == name for left in self.leaving) for name in self.broker.queues}
