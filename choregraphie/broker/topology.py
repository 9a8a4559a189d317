"""Declares or checks the topology on the broker, counts its queues, and removes it."""

from collections.abc import Awaitable, Sequence
from typing import Any

import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from choregraphie.broker.connection import connected, in_time
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY, Queue, Topology
from choregraphie.settings import Settings

log = structlog.get_logger()


async def apply_topology(connection: AbstractConnection, wanted: Topology, *, declare: bool) -> None:
    """Declare `wanted`, or with `declare=False` only check that its exchanges and queues exist.

    What exists already with the same arguments does not change. Raises BrokerRefused when something exists with
    other arguments, except for a history with other bounds: nothing depends on them, and only a policy changes
    them. Raises BrokerUnavailable when something that is checked is missing.
    """
    channel = await in_time(connection.channel(publisher_confirms=False))
    raw = await in_time(channel.get_underlay_channel())
    for exchange in wanted.exchanges:
        await in_time(
            raw.exchange_declare(
                exchange=exchange.name, exchange_type=exchange.type, durable=True, passive=not declare
            )
        )
    for queue in wanted.queues:
        if queue.name != HISTORY or not await _has_other_bounds(connection, queue, declare=declare):
            await in_time(_declare(raw, queue, declare=declare))
    if declare:
        for binding in wanted.bindings:
            await in_time(raw.queue_bind(binding.queue, binding.exchange, routing_key=binding.key))
    await in_time(channel.close())


def _declare(raw: Any, queue: Queue, *, declare: bool) -> Awaitable[Any]:
    answer: Awaitable[Any] = raw.queue_declare(
        queue.name, durable=True, passive=not declare, arguments=queue.arguments
    )
    return answer


async def _has_other_bounds(connection: AbstractConnection, history: Queue, *, declare: bool) -> bool:
    # On a channel of its own, because a refusal closes the channel.
    channel = await in_time(connection.channel(publisher_confirms=False))
    try:
        await in_time(_declare(await in_time(channel.get_underlay_channel()), history, declare=declare))
    except BrokerRefused as error:
        if not isinstance(error.__cause__, aiormq.exceptions.ChannelPreconditionFailed):
            raise
        log.warning("history.has_other_bounds", broker=str(error), remedy=f"a policy for {HISTORY}, or delete it")
        return True
    await in_time(channel.close())
    return False


async def count_queues(connection: AbstractConnection, queues: Sequence[str]) -> dict[str, QueueCount]:
    """Messages and consumers of each of `queues` that exists, by passive declaration.

    Raises BrokerUnavailable when the broker refuses to count one of them.
    """
    answers = await count_allowed(connection, queues)
    for name, answer in answers.items():
        if answer is None:
            raise BrokerUnavailable(f"the broker does not let {name} be counted")
    return {name: answer for name, answer in answers.items() if answer is not None}


async def count_allowed(connection: AbstractConnection, queues: Sequence[str]) -> dict[str, QueueCount | None]:
    """The same; None for a queue that exists and that the broker refuses to count."""
    found: dict[str, QueueCount | None] = {}
    channel: AbstractChannel | None = None
    for name in queues:
        if channel is None:
            channel = await in_time(connection.channel(publisher_confirms=False))
        try:
            raw = await in_time(channel.get_underlay_channel())
            answer = await in_time(raw.queue_declare(name, passive=True))
            found[name] = QueueCount(answer.message_count or 0, answer.consumer_count or 0)
        except (BrokerUnavailable, BrokerRefused) as error:
            if not isinstance(error.__cause__, aiormq.exceptions.ChannelClosed):
                raise
            # The error closed the channel, so the next queue needs another.
            channel = None
            if not isinstance(error.__cause__, aiormq.exceptions.ChannelNotFoundEntity):
                found[name] = None
    if channel is not None:
        await in_time(channel.close())
    return found


async def remove_topology(settings: Settings, unwanted: Topology) -> None:
    """Delete the queues and exchanges of `unwanted` with everything in them. Missing ones are skipped.

    Raises BrokerRefused or BrokerUnavailable.
    """
    async with connected(settings, "takes the topology away") as connection:
        channel = await in_time(connection.channel(publisher_confirms=False))
        raw = await in_time(channel.get_underlay_channel())
        for queue in unwanted.queues:
            await in_time(raw.queue_delete(queue.name))
        for exchange in unwanted.exchanges:
            await in_time(raw.exchange_delete(exchange.name))
