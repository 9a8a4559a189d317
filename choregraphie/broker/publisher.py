"""Publishes with confirms, for sessions and for clients that only publish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiormq
from aio_pika.abc import AbstractConnection
from pamqp import commands

from choregraphie.broker.connection import LOST_ERRORS, cancellations, connected, in_time, is_lost
from choregraphie.broker.topology import count_queues
from choregraphie.errors import BrokerUnavailable
from choregraphie.messaging import Outgoing, PublishOutcome, QueueCount
from choregraphie.settings import Settings

CONFIRM_SECONDS = 30
# The client goes through all open confirms when one comes with `multiple`; a few hundred are cheap.
PUBLISH_WINDOW = 256
LONGEST_SHORT_STRING = 255  # bytes; AMQP 0-9-1, 4.2.5.3


class Publisher:
    """An open connection that only publishes."""

    def __init__(self, connection: AbstractConnection, publishing: Any) -> None:
        self._connection = connection
        self._publishing = publishing

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish and wait for the confirms.

        Return the outcomes in the order of `batch`; no broker error is raised.
        """
        return await publish(self._publishing, batch)

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount]:
        """Messages and consumers of each of `queues` that exists."""
        return await count_queues(self._connection, queues)

    async def has_exchange(self, name: str) -> bool:
        """Whether the exchange exists. Raises BrokerUnavailable when the broker does not answer."""
        # On a channel of its own, because a missing exchange closes the channel.
        channel = await in_time(self._connection.channel(publisher_confirms=False))
        raw = await in_time(channel.get_underlay_channel())
        try:
            await in_time(raw.exchange_declare(exchange=name, passive=True))
        except BrokerUnavailable as error:
            if not isinstance(error.__cause__, aiormq.exceptions.ChannelNotFoundEntity):
                raise
            return False
        await in_time(channel.close())
        return True


@contextlib.asynccontextmanager
async def open_publisher(settings: Settings, name: str) -> AsyncIterator[Publisher]:
    """Open a connection to publish on, shown as `name` in the broker's tools. It declares nothing.

    Raises BrokerRefused when the broker refuses, BrokerUnavailable when it is away.
    """
    async with connected(settings, name) as connection:
        yield Publisher(connection, await confirming(connection))


async def confirming(connection: AbstractConnection) -> Any:
    """Open a channel with publisher confirms."""
    channel = await in_time(connection.channel(publisher_confirms=True, on_return_raises=True))
    return await in_time(channel.get_underlay_channel())


async def publish(channel: Any, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
    """Publish on a channel with confirms. Return the outcomes in the order of `batch`."""
    outcomes: list[PublishOutcome] = []
    for window in _windows(batch):
        outcomes += await asyncio.gather(*(_publish(channel, message) for message in window))
    return outcomes


async def _publish(channel: Any, message: Outgoing) -> PublishOutcome:
    before = cancellations()
    try:
        async with asyncio.timeout(CONFIRM_SECONDS):
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=_short(message.routing_key) or "",
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


def _windows(batch: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Split `batch` into windows of a bounded size with no message id twice: the client matches returns by it."""
    windows: list[list[Outgoing]] = [[]]
    ids: set[str | None] = set()
    for message in batch:
        if message.properties.message_id in ids or len(windows[-1]) == PUBLISH_WINDOW:
            windows.append([])
            ids = set()
        windows[-1].append(message)
        ids.add(message.properties.message_id)
    return windows


def _amqp(message: Outgoing) -> commands.Basic.Properties:
    properties = message.properties
    return commands.Basic.Properties(
        content_type=_short(properties.content_type),
        content_encoding=_short(properties.content_encoding),
        headers=dict(message.headers),
        delivery_mode=2,
        correlation_id=_short(properties.correlation_id),
        expiration=None if message.expiration_ms is None else str(message.expiration_ms),
        message_id=_short(properties.message_id),
        timestamp=properties.timestamp,
        message_type=_short(properties.type),
        app_id=_short(properties.app_id),
    )


def _short(text: str | None) -> str | None:
    """`text` cut to the length of an AMQP short string. A key may be longer: its bound is in characters.

    A property that cannot be encoded would end every session that publishes it, and no decision depends on one.
    """
    if text is None or len(text) * 4 <= LONGEST_SHORT_STRING:
        return text
    return text.encode()[:LONGEST_SHORT_STRING].decode(errors="ignore")
