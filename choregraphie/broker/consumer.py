"""A session on RabbitMQ: consumes, publishes with confirms and acknowledges, batch by batch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiormq.abc import DeliveredMessage
from pamqp import commands

from choregraphie.broker.bindings import BindingWatch
from choregraphie.broker.connection import LOST_ERRORS, connected, error_text, in_time
from choregraphie.broker.publisher import confirming, publish
from choregraphie.broker.topology import apply_topology
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import Delivery, Outgoing, Properties, PublishOutcome
from choregraphie.saga.topology import Topology, dlx, events, inbox, retry
from choregraphie.settings import Settings


class RabbitSession:
    """An open session: one connection to publish, another to consume.

    Under a memory or disk alarm the broker stops reading from connections that publish. With a single connection,
    acknowledgements would stop too.
    """

    def __init__(self, publishing: Any, consuming: Any, queues: Sequence[str], prefetch: int) -> None:
        """The first of `queues` is the service's inbox; the others receive what the service publishes."""
        self._publishing = publishing
        self._consuming = consuming
        self._queue, *self._others = queues
        # The prefetch bounds this queue: the broker sends no more until something is acknowledged.
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue(maxsize=prefetch + 1)
        self._unacked: dict[int, None] = {}
        self._consumer_tag: str | None = None
        self.lost: str | None = None
        self._lost_event = asyncio.Event()
        for channel in (publishing, consuming):
            channel.closing.add_done_callback(self._on_closed)
        consuming.on_consumer_cancel_callbacks.add(self._on_cancelled)

    async def until_lost(self) -> str:
        await self._lost_event.wait()
        return str(self.lost)

    async def consume(self) -> None:
        answer = await in_time(self._consuming.basic_consume(self._queue, self._on_delivery))
        self._consumer_tag = answer.consumer_tag

    def _on_delivery(self, message: DeliveredMessage) -> None:
        # The client cancels this callback when the connection drops, so it only keeps the message.
        delivery = _delivery(message)
        self._unacked[delivery.tag] = None
        self._arrived.put_nowait(delivery)

    def _on_closed(self, closing: "asyncio.Future[Any]") -> None:
        error = None if closing.cancelled() else closing.exception()
        self.lose(error_text(error) if error else "the channel was closed")

    def _on_cancelled(self, _: commands.Basic.Cancel) -> None:
        self.lose("the broker cancelled the consumer: its queue is gone")

    def lose(self, why: str) -> None:
        """End the session for the reason `why`: `deliveries` raises and `until_lost` returns."""
        if self.lost is None:
            self.lost = why
            self._lost_event.set()
            with contextlib.suppress(asyncio.QueueFull):
                self._arrived.put_nowait(None)

    async def deliveries(self, most: int) -> list[Delivery]:
        first = await self._arrived.get()
        batch = [first, *self._arrived_already(most - 1)]
        if self.lost is not None:
            # Nothing can be acknowledged on a lost session; the broker redelivers.
            raise BrokerUnavailable(self.lost)
        return [delivery for delivery in batch if delivery is not None]

    def _arrived_already(self, most: int) -> list[Delivery | None]:
        return [self._arrived.get_nowait() for _ in range(min(most, self._arrived.qsize()))]

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        return await publish(self._publishing, batch)

    async def ack(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._unacked.pop(tag, None)
        oldest = next(iter(self._unacked), None)
        # Every delivery below the oldest unacknowledged one is acknowledged by one frame with `multiple`.
        together = [tag for tag in tags if oldest is None or tag < oldest]
        with contextlib.suppress(*LOST_ERRORS):
            if together:
                await self._consuming.basic_ack(max(together), multiple=True, wait=False)
            for tag in set(tags).difference(together):
                await self._consuming.basic_ack(tag, wait=False)

    async def requeue(self, tags: Sequence[int]) -> None:
        with contextlib.suppress(*LOST_ERRORS):
            for tag in tags:
                self._unacked.pop(tag, None)
                await self._consuming.basic_nack(tag, requeue=True, wait=False)

    async def is_consuming(self) -> bool:
        # The history is bound to every exchange, so a message without any other queue is confirmed and lost.
        for name in self._others:
            await in_time(self._consuming.queue_declare(name, passive=True))
        answer = await in_time(self._consuming.queue_declare(self._queue, passive=True))
        return bool(answer.consumer_count)

    async def stop_deliveries(self) -> list[Delivery]:
        if self._consumer_tag is not None and self.lost is None:
            with contextlib.suppress(BrokerUnavailable, BrokerRefused):
                await in_time(self._consuming.basic_cancel(self._consumer_tag), 5)
        return [delivery for delivery in self._arrived_already(self._arrived.qsize()) if delivery]


def _delivery(message: DeliveredMessage) -> Delivery:
    deliver, header = message.delivery, message.header.properties
    assert isinstance(deliver, commands.Basic.Deliver)  # noqa: S101 - consumers get nothing else
    return Delivery(
        tag=deliver.delivery_tag or 0,
        body=message.body,
        exchange=deliver.exchange or "",
        routing_key=deliver.routing_key or "",
        headers=header.headers or {},
        properties=Properties(
            message_id=header.message_id,
            type=header.message_type,
            correlation_id=header.correlation_id,
            app_id=header.app_id,
            timestamp=header.timestamp,
            content_type=header.content_type,
            content_encoding=header.content_encoding,
        ),
        redelivered=bool(deliver.redelivered),
    )


@contextlib.asynccontextmanager
async def open_session(settings: Settings, service: str, wanted: Topology) -> AsyncIterator[RabbitSession]:
    """A session for `service`, its topology applied or checked. Consuming begins with `consume`.

    Raises BrokerRefused when the broker refuses, BrokerUnavailable when it is away.
    """
    async with (
        connected(settings, f"{service} publishes") as publishing,
        connected(settings, f"{service} consumes") as consuming,
    ):
        watch = BindingWatch(consuming, settings, service, wanted)
        await watch.look_before_applying()
        await apply_topology(consuming, wanted, declare=settings.topology == "apply")
        publishing_channel = await confirming(publishing)
        channel = await in_time(consuming.channel(publisher_confirms=False))
        consuming_channel = await in_time(channel.get_underlay_channel())
        await in_time(consuming_channel.basic_qos(prefetch_count=settings.prefetch))
        queues = [inbox(service), *_published_to(service, wanted)]
        session = RabbitSession(publishing_channel, consuming_channel, queues, settings.prefetch)
        async with _watching(watch, session):
            yield session


@contextlib.asynccontextmanager
async def _watching(watch: BindingWatch, session: RabbitSession) -> AsyncIterator[None]:
    """Watch the bindings while the session lasts. A missing exchange or queue ends the session."""

    async def run() -> None:
        try:
            await watch.run()
        except BrokerUnavailable as error:
            session.lose(str(error))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _published_to(service: str, wanted: Topology) -> list[str]:
    """The queues that receive what `service` publishes: events, retries, dead letters."""
    own = {events(service), retry(service), dlx(service)}
    bound = {binding.queue for binding in wanted.bindings if binding.exchange in own}
    return sorted(bound - {inbox(service)})
