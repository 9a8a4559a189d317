"""The public lane: publishes and consumes through the calls that the client offers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage
from pamqp import commands

from choregraphie.broker.connection import CONFIRM_SECONDS, LOST_ERRORS, is_lost
from choregraphie.broker.lean.content_header import content_header_of
from choregraphie.broker.lean.frames import short_text
from choregraphie.messaging import Delivery, Outgoing, PublishOutcome
from choregraphie.process.cancellation import cancellations


class PublicPublishing:
    """A channel with confirms."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def publish(self, window: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish messages with different ids, and wait for the confirms."""
        tasks = [asyncio.create_task(self._publish(message)) for message in window]
        try:
            await asyncio.wait(tasks, timeout=CONFIRM_SECONDS)
        finally:
            for task in tasks:
                task.cancel()  # no effect on a task that is done
        return [task.result() if task.done() else PublishOutcome.UNKNOWN for task in tasks]

    async def _publish(self, message: Outgoing) -> PublishOutcome:
        before = cancellations()
        try:
            await self._channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=short_text(message.routing_key),
                properties=_amqp(message),
                mandatory=True,
                wait=False,
            )
        except aiormq.exceptions.PublishError:
            return PublishOutcome.RETURNED
        except aiormq.exceptions.DeliveryError:
            return PublishOutcome.REFUSED
        except LOST_ERRORS:
            return PublishOutcome.UNKNOWN
        except asyncio.CancelledError:
            if cancellations() > before:
                raise
            return PublishOutcome.UNKNOWN
        except Exception as error:
            if not is_lost(error):
                raise
            return PublishOutcome.UNKNOWN
        return PublishOutcome.CONFIRMED


class PublicConsuming:
    """A channel that consumes."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    async def consume(
        self,
        queue: str,
        on_deliveries: Callable[[list[Delivery]], None],
        arguments: dict[str, Any] | None = None,
    ) -> str:
        """Start to receive from `queue`; returns the consumer tag. Raises what the client raises."""

        def on_message(message: DeliveredMessage) -> None:
            # The client cancels this callback when the connection drops, so it only hands the message on.
            on_deliveries([_delivery(message)])

        answer = await self.channel.basic_consume(queue, on_message, arguments=arguments)
        return str(answer.consumer_tag)

    async def ack(self, tag: int, *, multiple: bool) -> None:
        """Acknowledge one delivery, or all up to it. Raises one of LOST_ERRORS on a lost channel."""
        await self.channel.basic_ack(tag, multiple=multiple, wait=False)

    async def requeue(self, tag: int) -> None:
        """Return one delivery to its queue. Raises one of LOST_ERRORS on a lost channel."""
        await self.channel.basic_nack(tag, requeue=True, wait=False)


def _delivery(message: DeliveredMessage) -> Delivery:
    deliver = message.delivery
    assert isinstance(deliver, commands.Basic.Deliver)  # noqa: S101 - consumers get nothing else
    return Delivery(
        tag=deliver.delivery_tag or 0,
        body=message.body,
        exchange=deliver.exchange or "",
        routing_key=deliver.routing_key or "",
        header=content_header_of(message.header.properties),
        redelivered=bool(deliver.redelivered),
    )


def _amqp(message: Outgoing) -> commands.Basic.Properties:
    properties = message.properties
    return commands.Basic.Properties(
        content_type=_short(properties.content_type),
        content_encoding=_short(properties.content_encoding),
        # Pamqp writes a byte array of no other type.
        headers={n: bytearray(v) if isinstance(v, bytes) else v for n, v in message.headers.items()} or None,
        delivery_mode=2,
        correlation_id=_short(properties.correlation_id),
        expiration=None if message.expiration_ms is None else str(message.expiration_ms),
        message_id=_short(properties.message_id),
        timestamp=properties.timestamp,
        message_type=_short(properties.type),
        app_id=_short(properties.app_id),
    )


def _short(text: str | None) -> str | None:
    return None if text is None else short_text(text)
