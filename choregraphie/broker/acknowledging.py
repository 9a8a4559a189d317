"""Acknowledges what was handled: many deliveries at once by one frame, few of them together within 30 ms."""

import asyncio
import contextlib
from collections.abc import Sequence

from choregraphie.broker.connection import LOST_ERRORS
from choregraphie.broker.lanes import Consuming
from choregraphie.messaging import Delivery

# Deliveries are acknowledged together, also where they come one by one: a quorum queue writes each acknowledgement
# to its log (docs/performance.md). After a crash, those that waited are delivered again, which has no effect.
# A redelivered message does not wait: each crash counts towards the delivery limit of what was not acknowledged.
ACK_TOGETHER, ACK_SECONDS = 16, 0.03


class Acknowledging:
    """The deliveries of one channel that are not acknowledged yet."""

    def __init__(self, consuming: Consuming, prefetch: int) -> None:
        """`prefetch`: the broker sends so many messages ahead of their acknowledgement."""
        self._consuming = consuming
        self._at_once = min(ACK_TOGETHER, max(1, prefetch // 4))
        # By tag: whether it was delivered before.
        self._unacked: dict[int, bool] = {}
        self._handled: list[int] = []
        self._waiting: asyncio.Task[None] | None = None

    def received(self, deliveries: Sequence[Delivery]) -> None:
        """These deliveries have come."""
        for delivery in deliveries:
            self._unacked[delivery.tag] = delivery.redelivered

    async def ack(self, tags: Sequence[int]) -> None:
        """Acknowledge these deliveries: at once when many wait or one came before, otherwise in ACK_SECONDS."""
        self._handled += tags
        if len(self._handled) >= self._at_once or any(self._unacked.get(tag) for tag in tags):
            await self.ack_handled()
        elif self._handled and self._waiting is None:
            self._waiting = asyncio.create_task(self._ack_soon())

    async def _ack_soon(self) -> None:
        await asyncio.sleep(ACK_SECONDS)
        self._waiting = None
        await self.ack_handled()

    async def ack_handled(self) -> None:
        """Acknowledge at once what was handled. On a lost channel nothing happens."""
        tags, self._handled = self._handled, []
        for tag in tags:
            self._unacked.pop(tag, None)
        oldest = next(iter(self._unacked), None)
        # Every delivery below the oldest unacknowledged one is acknowledged by one frame with `multiple`.
        together = [tag for tag in tags if oldest is None or tag < oldest]
        with contextlib.suppress(*LOST_ERRORS):
            if together:
                await self._consuming.ack(max(together), multiple=True)
            for tag in set(tags).difference(together):
                await self._consuming.ack(tag, multiple=False)

    async def requeue(self, tags: Sequence[int]) -> None:
        """Return these deliveries to their queue. On a lost channel nothing happens."""
        with contextlib.suppress(*LOST_ERRORS):
            for tag in tags:
                # Until its frame is written it counts as unacknowledged: an `ack` with `multiple` that the client
                # writes meanwhile would acknowledge it.
                await self._consuming.requeue(tag)
                self._unacked.pop(tag, None)
