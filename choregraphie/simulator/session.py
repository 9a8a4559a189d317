"""A session on the model of the broker: the pipeline's `BrokerSession`, which can be lost at any moment."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from choregraphie import BrokerUnavailable
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, PublishOutcome
from choregraphie.simulator.broker_model import Broker, headers_of
from choregraphie.simulator.clock import VirtualLoop
from choregraphie.simulator.queues import Message
from choregraphie.simulator.randomness import Fault, Randomness
from choregraphie.simulator.trace import Trace


class Network(Protocol):
    """What a session needs of the network that opened it."""

    broker: Broker
    randomness: Randomness
    trace: Trace
    loop: VirtualLoop
    sessions: dict[str, list["SimulatedSession"]]

    @property
    def up(self) -> bool: ...

    def deliver_ready(self, queue: str) -> None: ...

    async def pause(self, hops: int) -> None: ...

    async def publish(self, program: str, batch: list[Outgoing]) -> list[PublishOutcome]: ...


class SimulatedSession:
    """A session that `Network.open` opened. `lost` is why it ended, or None."""

    def __init__(self, network: Network, program: str, queue: str, prefetch: int) -> None:
        self._network = network
        self.program = program
        self._queue = queue
        self._prefetch = prefetch
        self._received: list[Delivery] = []
        # By delivery tag, the number that settles the delivery in the queue.
        self._unsettled: dict[int, int] = {}
        self._tag = 0
        self._acks = 0
        self._waiter: asyncio.Future[None] | None = None
        self.lost: str | None = None
        self._ended = asyncio.Event()

    async def until_lost(self) -> str:
        await self._ended.wait()
        return str(self.lost)

    async def consume(self) -> None:
        await self._network.pause(1)
        if self.lost is None and not self._network.up:
            self.lost = "the broker is away"
            self._ended.set()
        if self.lost is not None:
            raise BrokerUnavailable(self.lost)
        self._network.sessions[self._queue].append(self)
        self._network.deliver_ready(self._queue)

    @property
    def has_room(self) -> bool:
        return len(self._unsettled) < self._prefetch

    def receive(self, number: int, message: Message) -> None:
        """Receive a delivery from the broker."""
        self._tag += 1
        self._unsettled[self._tag] = number
        self._received.append(
            Delivery(
                self._tag,
                message.body,
                message.exchange,
                message.routing_key,
                ContentHeader(headers_of(message), message.properties),
                redelivered=message.redelivered,
            )
        )
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def deliveries(self, most: int) -> list[Delivery]:
        while not self._received and self.lost is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.lost is not None:
            raise BrokerUnavailable(self.lost)
        batch, self._received = self._received[:most], self._received[most:]
        for delivery in batch:
            again = f" (back {delivery.returns} times)" if delivery.returns else ""
            self._network.trace.note(
                self.program,
                f"takes {delivery.routing_key}{again}",
                sender=delivery.properties.app_id or "",
                receiver=self.program,
                key=delivery.properties.correlation_id or "",
            )
        return batch

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        if self.lost is not None:
            return [PublishOutcome.UNKNOWN] * len(batch)
        outcomes = await self._network.publish(self.program, list(batch))
        if self.lost is not None:
            # The confirms were in transit when the session was lost.
            return [PublishOutcome.UNKNOWN] * len(batch)
        return outcomes

    async def ack(self, tags: Sequence[int]) -> None:
        if self.lost is not None or not tags:
            return
        self._acks += 1
        if self._network.randomness.occurs(Fault.ACK_LOST, self.program, self._acks, self._network.loop.now):
            self.disconnect("the session was lost with an acknowledgement on its way")
            return
        queue = self._network.broker.queues[self._queue]
        for tag in tags:
            queue.ack(self._unsettled.pop(tag))
        self._network.deliver_ready(self._queue)

    async def requeue(self, tags: Sequence[int]) -> None:
        if self.lost is None:
            queue = self._network.broker.queues[self._queue]
            self._put_back(list(tags), queue.nack)

    async def is_consuming(self) -> bool:
        if self.lost is not None:
            raise BrokerUnavailable(self.lost)
        return bool(self._network.sessions[self._queue])

    async def stop_deliveries(self) -> list[Delivery]:
        sessions = self._network.sessions[self._queue]
        if self in sessions:
            sessions.remove(self)
        received, self._received = self._received, []
        return received

    def disconnect(self, why: str) -> None:
        """Lose the session: its unacknowledged deliveries go back to the queue, in order."""
        if self.lost is not None:
            return
        self.lost = why
        self._ended.set()
        self._network.trace.note(self.program, f"loses its session: {why}")
        sessions = self._network.sessions[self._queue]
        if self in sessions:
            sessions.remove(self)
        self._put_back(list(self._unsettled), self._network.broker.queues[self._queue].requeue)
        self._received.clear()
        self._wake()

    def close(self) -> None:
        """Close the session; unacknowledged deliveries go back to the queue."""
        if self.lost is None:
            self.disconnect("it is closed")

    def _put_back(self, tags: list[int], put_back: Callable[[int], None]) -> None:
        for tag in tags:
            put_back(self._unsettled.pop(tag))
        self._network.deliver_ready(self._queue)
