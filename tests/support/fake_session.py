"""A session without a broker: a test delivers messages, and the session records what the pipeline does."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from choregraphie import BrokerUnavailable
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, PublishOutcome
from choregraphie.saga.envelope import Envelope, Event
from choregraphie.saga.topology import events

Action = tuple[str, tuple[object, ...]]


class FakeSession:
    """`outcome` gives the publish outcome of each message. No confirm comes while `answering` is not set."""

    def __init__(self) -> None:
        self.outcome: Callable[[Outgoing], PublishOutcome] = lambda message: PublishOutcome.CONFIRMED
        self.answering = asyncio.Event()
        self.answering.set()
        self.actions: list[Action] = []
        self.published: list[Outgoing] = []
        self.acked: list[int] = []
        self.requeued: list[int] = []
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._tags = itertools.count(1)
        self._stopped = False
        self.lost: str | None = None
        self._ended = asyncio.Event()

    def deliver(self, envelope: Envelope[Event], **how: Any) -> int:
        """Deliver a message. Returns its delivery tag."""
        delivery: dict[str, Any] = {
            "body": envelope.to_bytes(),
            "exchange": events(envelope.sender),
            "routing_key": envelope.type,
            **how,
        }
        shown = {part: delivery.pop(part) for part in ("headers", "properties") if part in delivery}
        tag = next(self._tags)
        self._arrived.put_nowait(Delivery(tag, header=ContentHeader(**shown), **delivery))
        return tag

    def lose(self) -> None:
        """Lose the session."""
        self.lost = "the test lost it"
        self._ended.set()
        self._arrived.put_nowait(None)

    async def until_lost(self) -> str:
        await self._ended.wait()
        return str(self.lost)

    async def consume(self) -> None:
        self.actions.append(("consume", ()))

    async def deliveries(self, most: int) -> list[Delivery]:
        if self._stopped:
            await asyncio.Event().wait()
        first = await self._arrived.get()
        found = [first, *(self._arrived.get_nowait() for _ in range(min(most - 1, self._arrived.qsize())))]
        if None in found:
            raise BrokerUnavailable("the test lost it")
        return [delivery for delivery in found if delivery is not None]

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        self.actions.append(("publish", tuple(message.routing_key for message in batch)))
        await self.answering.wait()
        self.published += batch
        return [self.outcome(message) for message in batch]

    async def ack(self, tags: Sequence[int]) -> None:
        self.actions.append(("ack", tuple(tags)))
        self.acked += tags

    async def requeue(self, tags: Sequence[int]) -> None:
        self.actions.append(("requeue", tuple(tags)))
        self.requeued += tags

    async def is_consuming(self) -> bool:
        return True

    async def stop_deliveries(self) -> list[Delivery]:
        self._stopped = True
        return [d for d in (self._arrived.get_nowait() for _ in range(self._arrived.qsize())) if d is not None]


async def until(true: Callable[[], bool], within_seconds: float = 60) -> None:
    """Wait until the condition holds. Raises AssertionError when it does not in time."""
    async with asyncio.timeout(within_seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is anything that a test can see
            await asyncio.sleep(0.005)
