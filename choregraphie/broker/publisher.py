"""Publishes with confirms, for sessions and for clients that only publish."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import aiormq
from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import connected, negative_answer
from choregraphie.broker.lanes import Publishing, open_publishing, publish
from choregraphie.broker.topology import count_queues, declare_exchange
from choregraphie.messaging import Outgoing, PublishOutcome, QueueCount
from choregraphie.saga.topology import Exchange
from choregraphie.settings import Settings
from choregraphie.signing import CLIENT, signer_for

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer


class Publisher:
    """An open connection that only publishes."""

    def __init__(
        self, connection: AbstractConnection, publishing: Publishing, signer: "Signer | None" = None
    ) -> None:
        """`signer` signs the events."""
        self._connection = connection
        self._publishing = publishing
        self._signer = signer

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish and wait for the confirms.

        Return the outcomes in the order of `batch`; no broker error is raised.
        """
        return await publish(self._publishing, batch, self._signer)

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount]:
        """Messages and consumers of each of `queues` that exists."""
        return await count_queues(self._connection, queues)

    async def has_exchange(self, name: str) -> bool:
        """Whether the exchange exists. Raises BrokerUnavailable when the broker does not answer."""
        ask = partial(declare_exchange, exchange=Exchange(name), passive=True)
        return await negative_answer(self._connection, ask, aiormq.exceptions.ChannelNotFoundEntity) is None


@contextlib.asynccontextmanager
async def open_publisher(settings: Settings, name: str, signs_as: str = CLIENT) -> AsyncIterator[Publisher]:
    """Open a connection to publish on, shown as `name` in the broker's tools. It declares nothing.

    `signs_as`: whose key signs the events, where signatures are on. Raises BrokerRefused when the broker refuses,
    BrokerUnavailable when it is away, BadSetting when that key cannot be used.
    """
    signer = signer_for(settings, signs_as)
    async with connected(settings, name) as connection:
        publishing, _ = await open_publishing(connection)
        yield Publisher(connection, publishing, signer)
