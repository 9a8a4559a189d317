"""Takes dead letters out of their queues for an operator, who keeps some of them there and removes others.

A letter that is taken and not removed returns to its place when the connection ends. A consumer gets no more than
its prefetch until something is removed, so every further letter needs another consumer: each has a larger prefetch
than the one before, and memory holds the bytes of one prefetch at most.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aio_pika.abc import AbstractConnection
from pamqp import commands

from choregraphie.broker.connection import LOST_ERRORS, connected, error_text, in_time, why_closed
from choregraphie.broker.lanes import Consuming, open_consuming
from choregraphie.broker.topology import count_allowed
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import Delivery
from choregraphie.saga.topology import dlq
from choregraphie.settings import Settings

FIRST_PREFETCH = 500
LARGEST_PREFETCH = 8000
# After this long without a letter the queue is asked whether it has more to deliver.
SILENCE_SECONDS = 1.0
LONGEST_SILENCE = 30


class DeadLetterQueues:
    """The dead-letter queues of an application, on one connection. The tags of its deliveries are its own."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._readers: dict[str, _Reader] = {}
        self._taken: dict[int, tuple[_Reader, Consuming, int]] = {}
        self._number = 0

    async def count(self, service: str) -> int:
        """The number of letters of `service` that nobody has taken.

        Raises BrokerUnavailable when there is no such queue, BrokerRefused when this user may not read it.
        """
        name = dlq(service)
        counts = await count_allowed(self._connection, [name])
        if name not in counts:
            raise BrokerUnavailable(f"the broker has no queue {name}: a worker makes it when it starts")
        count = counts[name]
        if count is None:
            raise BrokerRefused(f"the broker does not let this user read {name}")
        return count.messages

    async def take(self, service: str, most: int) -> list[Delivery]:
        """Take up to `most` letters of `service`, in their order; fewer when the queue has no more.

        Raises BrokerRefused or BrokerUnavailable.
        """
        reader = self._readers.setdefault(service, _Reader(self._connection, dlq(service)))
        found: list[Delivery] = []
        silences = 0
        while len(found) < most:
            arrived = await reader.next()
            if arrived is not None:
                self._number += 1
                consuming, delivery = arrived
                self._taken[self._number] = (reader, consuming, delivery.tag)
                found.append(delivery._replace(tag=self._number))
                silences = 0
            elif not await self.count(service):
                # Letters that the broker has sent are not counted any more, and may still be on their way.
                await reader.flush()
                if reader.is_empty:
                    break
            elif (silences := silences + 1) > LONGEST_SILENCE:
                raise BrokerUnavailable(f"{dlq(service)} holds letters, and the broker delivers none")
        return found

    async def remove(self, tags: Sequence[int]) -> None:
        """Remove these letters from their queues. Raises BrokerUnavailable when the connection is lost."""
        for tag in tags:
            reader, consuming, its_tag = self._taken.pop(tag)
            await reader.remove(consuming, its_tag)

    async def flush(self) -> None:
        """Wait until the broker has handled the removals before.

        Raises BrokerUnavailable when the connection is lost.
        """
        for reader in self._readers.values():
            await reader.flush()


class _Reader:
    """The consumers of one queue, and the letters that have arrived."""

    def __init__(self, connection: AbstractConnection, queue: str) -> None:
        self._connection = connection
        self._queue = queue
        self._consumers: list[Consuming] = []
        self._arrived: asyncio.Queue[tuple[Consuming, Delivery] | None] = asyncio.Queue()
        # How many letters may still come before another consumer is needed.
        self._room = 0
        self._prefetch = FIRST_PREFETCH
        self._lost: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every letter that has arrived was given out."""
        return self._arrived.empty()

    async def next(self) -> tuple[Consuming, Delivery] | None:
        """The next letter with its consumer; None when none comes for a while."""
        if self._arrived.empty() and self._room <= 0:
            await self._consume()
        arrived = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_SECONDS):
                arrived = await self._arrived.get()
        if self._lost is not None:
            raise BrokerUnavailable(self._lost)
        return arrived

    async def _consume(self) -> None:
        consuming = await open_consuming(self._connection, self._prefetch)
        consuming.channel.closing.add_done_callback(self._on_closed)
        consuming.channel.on_consumer_cancel_callbacks.add(self._on_cancelled)
        self._consumers.append(consuming)
        self._room += self._prefetch
        self._prefetch = min(2 * self._prefetch, LARGEST_PREFETCH)

        def on_deliveries(deliveries: list[Delivery]) -> None:
            self._room -= len(deliveries)
            for delivery in deliveries:
                self._arrived.put_nowait((consuming, delivery))

        await in_time(consuming.consume(self._queue, on_deliveries))

    def _on_closed(self, closing: "asyncio.Future[Any]") -> None:
        self._lose(why_closed(closing))

    def _on_cancelled(self, _: commands.Basic.Cancel) -> None:
        self._lose(f"{self._queue} is gone")

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._arrived.put_nowait(None)

    async def remove(self, consuming: Consuming, tag: int) -> None:
        """Acknowledge the letter, so that the queue drops it. Raises BrokerUnavailable on a lost connection."""
        try:
            await consuming.ack(tag, multiple=False)
        except LOST_ERRORS as error:
            raise BrokerUnavailable(error_text(error)) from error
        self._room += 1

    async def flush(self) -> None:
        # The answer on a channel comes after everything that was asked of it before.
        for consuming in self._consumers:
            await in_time(consuming.channel.queue_declare(self._queue, passive=True))


@contextlib.asynccontextmanager
async def open_dead_letters(settings: Settings, name: str) -> AsyncIterator[DeadLetterQueues]:
    """Connect to take dead letters, shown as `name` in the broker's tools. It declares nothing.

    What was taken and not removed is in its queue again afterwards. Raises BrokerRefused or BrokerUnavailable.
    """
    async with connected(settings, name) as connection:
        yield DeadLetterQueues(connection)
