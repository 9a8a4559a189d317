"""Reads the history stream from any offset in batches, without removing anything."""

import asyncio
import contextlib
import datetime as dt
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Literal

import aiormq
from aio_pika.abc import AbstractConnection
from pamqp import commands

from choregraphie.broker.connection import LOST_ERRORS, connected, in_time, why_closed
from choregraphie.broker.lanes import Consuming, open_consuming
from choregraphie.broker.topology import count_allowed
from choregraphie.errors import BrokerUnavailable, HistoryMissing
from choregraphie.messaging import Delivery, HistoryEntry, QueueCount
from choregraphie.saga.topology import HISTORY
from choregraphie.settings import Settings

BATCH = 500
# A stream refuses consumers without a prefetch, and `basic.get` altogether.
PREFETCH = 2 * BATCH
IDLE_SECONDS = 0.5
# How many empty batches pass before the stream is asked for its length, and before it is considered broken.
SILENCES = 2
LONGEST_SILENCE = 20
# A consumer that begins while the broker drops the first segment receives nothing; the next one does.
READINGS = 4
# Entries that the broker sent before its answer arrive within this time.
ANSWERED_SECONDS = 0.1
# While entries keep arriving, a batch waits for more, which makes batches fewer and larger.
GATHER_TICK_SECONDS = 0.01
GATHER_SECONDS = 0.2

Start = int | dt.datetime | Literal["first", "last"]


class RabbitHistory:
    """An open connection to the history. It publishes nothing, and acknowledges only its own reading.

    `stream`: another stream to read in its place.
    """

    def __init__(self, connection: AbstractConnection, stream: str = HISTORY) -> None:
        self._connection = connection
        self._stream = stream

    async def entries(self, start: Start) -> AsyncGenerator[list[HistoryEntry], None]:
        """Entries from `start` on, in batches; an empty batch when none arrives for IDLE_SECONDS.

        When `start` is a time, some earlier entries come first: the broker begins with the chunk that holds it.
        Raises BrokerUnavailable when the session is lost.
        """
        async with self._reading(start) as reading:
            while True:
                messages = await reading.batch(IDLE_SECONDS)
                # Before the batch is handled, so that more arrives meanwhile; a stream keeps acknowledged entries.
                await reading.acknowledge(messages)
                # The broker delivers whole chunks: entries before `start` may come first.
                yield [e for e in map(_entry, messages) if not isinstance(start, int) or e.offset >= start]

    async def first(self) -> HistoryEntry | None:
        """The oldest entry still kept, or None when the stream is empty.

        Raises BrokerUnavailable when the stream holds entries and delivers none.
        """
        for _ in range(READINGS - 1):
            with contextlib.suppress(BrokerUnavailable):
                return await self._first(LONGEST_SILENCE // READINGS)
        return await self._first(LONGEST_SILENCE)

    async def _first(self, silences: int) -> HistoryEntry | None:
        async with self._reading("first", prefetch=1) as reading:
            return _entry(reading.take(1)[0]) if await self._begins(reading, silences) else None

    async def last(self) -> HistoryEntry | None:
        """The newest entry, or None when the stream is empty. Unlike the broker's count it is up to date.

        What was confirmed before the call is not behind it: a confirmed entry is in a chunk that the broker has
        written, and it begins with the last of these. How many entries a chunk has cannot be seen, but the broker
        sends what it has and the prefetch allows in one step, and answers the next request after that. So when it
        answers and has sent less than the prefetch, it had come to the end. In a cluster this is the end of the
        replica on the node that is connected to, which may be a moment behind.

        Raises BrokerUnavailable when the stream holds entries and delivers none.
        """
        async with self._reading("last") as reading:
            newest, sent = None, PREFETCH if await self._begins(reading) else 0
            while sent >= PREFETCH:
                await reading.answered()
                arrived = reading.take()
                newest, sent = arrived[-1] if arrived else newest, len(arrived)
                await reading.acknowledge(arrived)
            return _entry(newest) if newest else None

    async def _begins(self, reading: "_Reading", longest_silence: int = LONGEST_SILENCE) -> bool:
        """Wait until entries have arrived; False when the stream is empty."""
        silences = 0
        while not await reading.arrives(IDLE_SECONDS):
            silences += 1
            # Neither silence nor the count proves that the stream is empty: a busy broker is slow, a busy process
            # may time out before it looks at what arrived, and the count may be seconds old.
            if silences >= SILENCES and not await self._length():
                return await reading.arrives(ANSWERED_SECONDS)
            if silences > longest_silence:
                raise BrokerUnavailable("the history stream holds entries and delivers none")
        return True

    async def _length(self) -> int:
        found = (await self.counts([self._stream])).get(self._stream)
        return found.messages if found else 0

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount | None]:
        """Messages and consumers of each of `queues` that exists; None where the broker refuses to count."""
        return await count_allowed(self._connection, queues)

    @contextlib.asynccontextmanager
    async def _reading(self, start: Start, prefetch: int = PREFETCH) -> AsyncIterator["_Reading"]:
        consuming = await open_consuming(self._connection, prefetch)
        reading = _Reading(consuming)
        try:
            await _consume(consuming, self._stream, reading, {"x-stream-offset": start})
            yield reading
        finally:
            with contextlib.suppress(BrokerUnavailable):
                await in_time(consuming.channel.close(), 5)


async def _consume(consuming: Consuming, stream: str, reading: "_Reading", arguments: dict[str, Any]) -> None:
    """Start a consumer. Raises HistoryMissing when there is no stream."""
    try:
        await in_time(consuming.consume(stream, reading.on_deliveries, arguments))
    except BrokerUnavailable as error:
        if isinstance(error.__cause__, aiormq.exceptions.ChannelNotFoundEntity):
            raise HistoryMissing(
                f"the broker has no stream {stream}: a worker makes it when it starts"
            ) from error.__cause__
        raise


class _Reading:
    """One consumer of the stream: the entries that have arrived, and whether it is alive."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._arrived: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._lost: str | None = None
        consuming.channel.closing.add_done_callback(self._on_closed)
        consuming.channel.on_consumer_cancel_callbacks.add(self._on_cancelled)

    def on_deliveries(self, deliveries: list[Delivery]) -> None:
        self._arrived.extend(deliveries)
        self._changed.set()

    def _on_closed(self, closing: "asyncio.Future[Any]") -> None:
        self._lose(why_closed(closing))

    def _on_cancelled(self, _: commands.Basic.Cancel) -> None:
        self._lose("the history stream is gone")

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._changed.set()

    async def arrives(self, seconds: float) -> bool:
        """Whether an entry has arrived, or arrives within `seconds`. Raises BrokerUnavailable when it is lost."""
        if not self._arrived and not self._lost:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        self._check()
        return bool(self._arrived)

    async def answered(self) -> None:
        """Wait until what the broker has sent by now has arrived. Raises BrokerUnavailable."""
        await in_time(self._consuming.channel.basic_qos(prefetch_count=PREFETCH))

    def take(self, most: int | None = None) -> list[Delivery]:
        """The entries that have arrived, the oldest first. Raises BrokerUnavailable when the session is lost."""
        self._check()
        count = len(self._arrived) if most is None else min(most, len(self._arrived))
        return [self._arrived.popleft() for _ in range(count)]

    def _check(self) -> None:
        if self._lost:
            raise BrokerUnavailable(self._lost)

    async def batch(self, seconds: float) -> list[Delivery]:
        """The entries that arrive within `seconds`. Raises BrokerUnavailable when the session is lost."""
        if await self.arrives(seconds):
            await self._gather()
        return self.take(BATCH)

    async def _gather(self) -> None:
        """Wait while more keeps arriving, until a batch is full or GATHER_SECONDS have passed."""
        deadline, waiting = _seconds() + GATHER_SECONDS, -1
        while waiting < len(self._arrived) < BATCH and _seconds() < deadline and not self._lost:
            waiting = len(self._arrived)
            await asyncio.sleep(GATHER_TICK_SECONDS)

    async def acknowledge(self, messages: Sequence[Delivery]) -> None:
        """Let the broker send as many more. The stream keeps the entries."""
        if messages:
            with contextlib.suppress(*LOST_ERRORS):
                await self._consuming.ack(messages[-1].tag, multiple=True)


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _entry(delivery: Delivery) -> HistoryEntry:
    headers = delivery.headers
    offset = headers.get("x-stream-offset", -1)
    timestamp = delivery.properties.timestamp
    return HistoryEntry(
        offset=offset if isinstance(offset, int) else -1,
        exchange=delivery.exchange,
        routing_key=delivery.routing_key,
        body=delivery.body,
        headers=headers,
        timestamp=timestamp if isinstance(timestamp, dt.datetime) else None,
        content_type=delivery.content_type,
    )


@contextlib.asynccontextmanager
async def open_history(settings: Settings, stream: str = HISTORY) -> AsyncIterator[RabbitHistory]:
    """Connect to read the history, or another stream. It declares nothing, so it needs only the right to read.

    Raises BrokerRefused when the broker refuses, BrokerUnavailable when it is away.
    """
    async with connected(settings, "monitor reads") as connection:
        yield RabbitHistory(connection, stream)
