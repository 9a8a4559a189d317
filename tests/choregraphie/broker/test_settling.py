"""Deliveries are acknowledged together, and never one that is being returned to its queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from choregraphie.broker.consumer import RabbitSession
from choregraphie.messaging import Delivery, Outgoing, PublishOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Channel:
    """The client's channel, open until the test ends."""

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set[Any] = set()


class SlowConsuming:
    """A channel whose client is slow to write a frame that returns a delivery."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.acked: list[tuple[int, bool]] = []
        self.may_write = asyncio.Event()

    async def consume(
        self,
        queue: str,
        on_deliveries: Callable[[list[Delivery]], None],
        arguments: dict[str, Any] | None = None,
    ) -> str:
        on_deliveries([Delivery(tag, b"", "stock.events", "stock.reserve") for tag in (1, 2, 3)])
        return "consumer"

    async def ack(self, tag: int, *, multiple: bool) -> None:
        self.acked.append((tag, multiple))

    async def requeue(self, tag: int) -> None:
        await self.may_write.wait()


class NoPublishing:
    """A channel on which nothing is published."""

    async def publish(self, window: Sequence[Outgoing]) -> list[PublishOutcome]:
        raise AssertionError("nothing is published here")


async def test_an_acknowledgement_takes_no_delivery_with_it_that_is_being_returned() -> None:
    consuming = SlowConsuming()
    session = RabbitSession(NoPublishing(), consuming, [], ["stock.inbox"])
    await session.consume()
    returning = asyncio.create_task(session.requeue([1]))
    await asyncio.sleep(0)
    await session.ack([2, 3])
    assert sorted(consuming.acked) == [(2, False), (3, False)]
    consuming.may_write.set()
    await returning


async def test_deliveries_below_the_oldest_unacknowledged_are_acknowledged_by_one_frame() -> None:
    consuming = SlowConsuming()
    session = RabbitSession(NoPublishing(), consuming, [], ["stock.inbox"])
    await session.consume()
    await session.ack([1, 2])
    assert consuming.acked == [(2, True)]
