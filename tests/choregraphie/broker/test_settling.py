"""Deliveries are acknowledged together, and never one that is being returned to its queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from choregraphie.broker.acknowledging import ACK_TOGETHER
from choregraphie.broker.consumer import RabbitSession
from choregraphie.messaging import Delivery, Outgoing, PublishOutcome
from tests.support.fake_session import until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class Channel:
    """The client's channel, open until the test ends."""

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set[Any] = set()


class SlowConsuming:
    """A channel whose client is slow to write a frame that returns a delivery."""

    def __init__(self, redelivered: Collection[int] = ()) -> None:
        self.channel = Channel()
        self._redelivered = redelivered
        self.acked: list[tuple[int, bool]] = []
        self.may_write = asyncio.Event()

    async def consume(
        self,
        queue: str,
        on_deliveries: Callable[[list[Delivery]], None],
        arguments: dict[str, Any] | None = None,
    ) -> str:
        on_deliveries(
            [
                Delivery(tag, b"", "stock.events", "stock.reserve", redelivered=tag in self._redelivered)
                for tag in range(1, 101)
            ]
        )
        return "consumer"

    async def ack(self, tag: int, *, multiple: bool) -> None:
        self.acked.append((tag, multiple))

    async def requeue(self, tag: int) -> None:
        await self.may_write.wait()


class NoPublishing:
    """A channel on which nothing is published."""

    async def publish(self, window: Sequence[Outgoing]) -> list[PublishOutcome]:
        raise AssertionError("nothing is published here")


async def consume(consuming: SlowConsuming, prefetch: int = 1) -> RabbitSession:
    """A session that has received the deliveries 1 to 100."""
    session = RabbitSession(NoPublishing(), consuming, [], ["stock.inbox"], prefetch=prefetch)
    await session.consume()
    return session


async def test_an_acknowledgement_takes_no_delivery_with_it_that_is_being_returned() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming)
    returning = asyncio.create_task(session.requeue([1]))
    await asyncio.sleep(0)
    await session.ack([2, 3])
    assert sorted(consuming.acked) == [(2, False), (3, False)]
    consuming.may_write.set()
    await returning


async def test_deliveries_below_the_oldest_unacknowledged_are_acknowledged_by_one_frame() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming)
    await session.ack([1, 2])
    assert consuming.acked == [(2, True)]


async def test_few_deliveries_are_acknowledged_a_little_later_together() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming, prefetch=600)
    await session.ack([1])
    await session.ack([2, 4])
    assert consuming.acked == []
    await until(lambda: bool(consuming.acked))
    assert consuming.acked == [(2, True), (4, False)]
    await session.ack([3])
    await until(lambda: len(consuming.acked) == 3)
    assert consuming.acked[-1] == (3, True)


async def test_many_deliveries_are_acknowledged_at_once_with_those_that_waited() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming, prefetch=600)
    await session.ack([1])
    await session.ack([*range(2, ACK_TOGETHER + 1)])
    assert consuming.acked == [(ACK_TOGETHER, True)]


async def test_a_delivery_that_came_before_is_acknowledged_at_once() -> None:
    """What follows it may kill the worker again, and each time counts towards its delivery limit."""
    consuming = SlowConsuming(redelivered={3})
    session = await consume(consuming, prefetch=600)
    await session.ack([1])
    await session.ack([2])
    assert consuming.acked == []
    await session.ack([3])
    assert consuming.acked == [(3, True)]


async def test_a_small_prefetch_waits_for_no_acknowledgement() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming, prefetch=3)
    await session.ack([1])
    assert consuming.acked == [(1, True)]


async def test_what_waits_can_be_acknowledged_at_once() -> None:
    consuming = SlowConsuming()
    session = await consume(consuming, prefetch=600)
    await session.ack([1, 2])
    await session.ack_handled()
    assert consuming.acked == [(2, True)]
