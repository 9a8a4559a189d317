"""A session on RabbitMQ: consumes, publishes with confirms and acknowledges, batch by batch."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from pamqp import commands

from choregraphie.broker.acknowledging import Acknowledging
from choregraphie.broker.bindings import BindingWatch
from choregraphie.broker.connection import connected, in_time, why_closed
from choregraphie.broker.lanes import Consuming, Publishing, open_consuming, open_publishing, publish
from choregraphie.broker.topology import apply_topology
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import Delivery, Outgoing, PublishOutcome
from choregraphie.saga.topology import Topology, dlx, inbox, retry
from choregraphie.settings import Settings
from choregraphie.signing import signer_for

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer

log = structlog.get_logger()


class RabbitSession:
    """An open session: one connection to publish, another to consume.

    Under a memory or disk alarm the broker stops reading from connections that publish. With a single connection,
    acknowledgements would stop too.
    """

    def __init__(
        self,
        publishing: Publishing,
        consuming: Consuming,
        channels: Sequence[Any],
        queues: Sequence[str],
        signer: "Signer | None" = None,
        *,
        prefetch: int,
    ) -> None:
        """`channels` are the client's below both. The first of `queues` is the service's inbox; the others receive
        what the service publishes. `signer` signs its events. `prefetch`: the broker sends so many messages ahead
        of their acknowledgement.
        """
        self._publishing = publishing
        self._signer = signer
        self._consuming = consuming
        self._channel = consuming.channel
        self._queue, *self._others = queues
        # The prefetch bounds it: the broker sends no more until something is acknowledged.
        self._received: deque[Delivery] = deque()
        self._woken = asyncio.Event()
        self._acknowledging = Acknowledging(consuming, prefetch)
        self._consumer_tag: str | None = None
        self.lost: str | None = None
        self._lost_event = asyncio.Event()
        for channel in channels:
            channel.closing.add_done_callback(self._on_closed)
        self._channel.on_consumer_cancel_callbacks.add(self._on_cancelled)

    async def until_lost(self) -> str:
        await self._lost_event.wait()
        return str(self.lost)

    async def consume(self) -> None:
        self._consumer_tag = await in_time(self._consuming.consume(self._queue, self._on_deliveries))

    def _on_deliveries(self, deliveries: list[Delivery]) -> None:
        self._acknowledging.received(deliveries)
        self._received.extend(deliveries)
        self._woken.set()

    def _on_closed(self, closing: "asyncio.Future[Any]") -> None:
        self.lose(why_closed(closing))

    def _on_cancelled(self, _: commands.Basic.Cancel) -> None:
        self.lose("the broker cancelled the consumer: its queue is gone, or its consumer timeout has passed")

    def lose(self, why: str) -> None:
        """End the session for the reason `why`: `deliveries` raises and `until_lost` returns."""
        if self.lost is None:
            self.lost = why
            self._lost_event.set()
            self._woken.set()

    async def deliveries(self, most: int) -> list[Delivery]:
        await self._woken.wait()
        if self.lost is not None:
            # Nothing can be acknowledged on a lost session; the broker redelivers.
            raise BrokerUnavailable(self.lost)
        return self._take(most)

    def _take(self, most: int) -> list[Delivery]:
        batch = [self._received.popleft() for _ in range(min(most, len(self._received)))]
        if not self._received and self.lost is None:
            self._woken.clear()
        return batch

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        return await publish(self._publishing, batch, self._signer)

    async def ack(self, tags: Sequence[int]) -> None:
        await self._acknowledging.ack(tags)

    async def ack_handled(self) -> None:
        """Acknowledge at once what waits to be acknowledged. On a lost session it does nothing."""
        await self._acknowledging.ack_handled()

    async def requeue(self, tags: Sequence[int]) -> None:
        await self._acknowledging.requeue(tags)

    async def is_consuming(self) -> bool:
        # The history is bound to every exchange, so a message without any other queue is confirmed and lost.
        for name in self._others:
            await in_time(self._channel.queue_declare(name, passive=True))
        answer = await in_time(self._channel.queue_declare(self._queue, passive=True))
        return bool(answer.consumer_count)

    async def stop_deliveries(self) -> list[Delivery]:
        if self._consumer_tag is not None and self.lost is None:
            with contextlib.suppress(BrokerUnavailable, BrokerRefused):
                await in_time(self._channel.basic_cancel(self._consumer_tag), 5)
        return self._take(len(self._received))


@contextlib.asynccontextmanager
async def open_session(settings: Settings, service: str, wanted: Topology) -> AsyncIterator[RabbitSession]:
    """A session for `service`, its topology applied or checked. Consuming begins with `consume`.

    Raises BrokerRefused when the broker refuses, BrokerUnavailable when it is away, BadSetting when the key that
    signs its events cannot be used.
    """
    signer = signer_for(settings, service)
    async with (
        connected(settings, f"{service} publishes") as publishing,
        connected(settings, f"{service} consumes") as consuming,
    ):
        watch = BindingWatch(consuming, settings, service, wanted)
        await watch.look_before_applying()
        await apply_topology(consuming, wanted, declare=settings.topology == "apply")
        publisher, channel = await open_publishing(publishing)
        consumer = await open_consuming(consuming, settings.prefetch)
        queues = [inbox(service), *_published_to(service, wanted)]
        channels = [channel, consumer.channel]
        session = RabbitSession(publisher, consumer, channels, queues, signer, prefetch=settings.prefetch)
        async with _watching(watch, session):
            yield session
            await session.ack_handled()


@contextlib.asynccontextmanager
async def _watching(watch: BindingWatch, session: RabbitSession) -> AsyncIterator[None]:
    """Watch the bindings while the session lasts. A missing exchange or queue ends the session."""

    async def run() -> None:
        try:
            await watch.run()
        except BrokerUnavailable as error:
            session.lose(str(error))
        except Exception as error:
            # The worker goes on without the watch.
            log.error("binding_watch.failed", exc_info=error)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _published_to(service: str, wanted: Topology) -> list[str]:
    """The queues that receive what `service` publishes: events, retries, dead letters."""
    own = {*wanted.published_by(service), retry(service), dlx(service)}
    bound = {binding.queue for binding in wanted.bindings if binding.exchange in own}
    return sorted(bound - {inbox(service)})
