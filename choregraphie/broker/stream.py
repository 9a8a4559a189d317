"""Reads the history stream from any offset in batches, without removing anything."""

import asyncio
import contextlib
import datetime as dt
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
IDLE_SECONDS = 0.5
# How many empty batches pass before the stream is asked for its length, and before it is considered broken.
SILENCES = 2
LONGEST_SILENCE = 20
# A consumer that begins while the broker drops the first segment receives nothing; the next one does.
READINGS = 4
# Entries that the broker sent before its answer arrive within this time.
ANSWERED_SECONDS = 0.1
# The last chunk arrives without a pause. While more is published it never ends, so reading stops after
# CHUNK_SECONDS.
CHUNK_PAUSE_SECONDS = 0.1
CHUNK_SECONDS = 1.0
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
        async with self._reading("first") as reading:
            begun = await self._beginning(reading, silences)
            return _entry(begun[0]) if begun else None

    async def last(self) -> HistoryEntry | None:
        """The newest entry, or None when the stream is empty. Unlike the broker's count it is up to date.

        Raises BrokerUnavailable when the stream holds entries and delivers none.
        """
        # The broker begins with the last chunk that it has written, and delivers all of it.
        async with self._reading("last") as reading:
            messages = newest = await self._beginning(reading)
            deadline = _seconds() + CHUNK_SECONDS
            while messages and _seconds() < deadline:
                await reading.acknowledge(messages)
                messages = await reading.batch(CHUNK_PAUSE_SECONDS)
                newest = messages or newest
            return _entry(newest[-1]) if newest else None

    async def _beginning(self, reading: "_Reading", longest_silence: int = LONGEST_SILENCE) -> list[Delivery]:
        """The first batch; an empty one when the stream is empty."""
        silences = 0
        while not (messages := await reading.batch(IDLE_SECONDS)):
            silences += 1
            # Neither silence nor the count proves that the stream is empty: a busy broker is slow, a busy process
            # may time out before it looks at what arrived, and the count may be seconds old.
            if silences >= SILENCES and not await self._length():
                return await reading.batch(ANSWERED_SECONDS)
            if silences > longest_silence:
                raise BrokerUnavailable("the history stream holds entries and delivers none")
        return messages

    async def _length(self) -> int:
        found = (await self.counts([self._stream])).get(self._stream)
        return found.messages if found else 0

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount | None]:
        """Messages and consumers of each of `queues` that exists; None where the broker refuses to count."""
        return await count_allowed(self._connection, queues)

    @contextlib.asynccontextmanager
    async def _reading(self, start: Start) -> AsyncIterator["_Reading"]:
        # A stream refuses consumers without a prefetch, and `basic.get` altogether.
        consuming = await open_consuming(self._connection, 2 * BATCH)
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
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._lost: str | None = None
        consuming.channel.closing.add_done_callback(self._on_closed)
        consuming.channel.on_consumer_cancel_callbacks.add(self._on_cancelled)

    def on_deliveries(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._arrived.put_nowait(delivery)

    def _on_closed(self, closing: "asyncio.Future[Any]") -> None:
        self._lose(why_closed(closing))

    def _on_cancelled(self, _: commands.Basic.Cancel) -> None:
        self._lose("the history stream is gone")

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._arrived.put_nowait(None)

    async def batch(self, seconds: float) -> list[Delivery]:
        """The entries that arrive within `seconds`. Raises BrokerUnavailable when the session is lost."""
        batch: list[Delivery | None] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                batch.append(await self._arrived.get())
        if batch:
            await self._gather()
        batch += [self._arrived.get_nowait() for _ in range(min(BATCH - 1, self._arrived.qsize()))]
        if self._lost:
            raise BrokerUnavailable(self._lost)
        return [message for message in batch if message is not None]

    async def _gather(self) -> None:
        """Wait while more keeps arriving, until a batch is full or GATHER_SECONDS have passed."""
        deadline, waiting = _seconds() + GATHER_SECONDS, -1
        while waiting < self._arrived.qsize() < BATCH - 1 and _seconds() < deadline and not self._lost:
            waiting = self._arrived.qsize()
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
