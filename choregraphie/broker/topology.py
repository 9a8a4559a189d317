"""Declares or checks the topology on the broker, counts its queues, and removes it."""

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from choregraphie.broker.connection import connected, in_time, negative_answer
from choregraphie.broker.coordination import refuse_other_kind
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY, Exchange, Queue, Topology
from choregraphie.settings import Settings

log = structlog.get_logger()


async def apply_topology(connection: AbstractConnection, wanted: Topology, *, declare: bool) -> None:
    """Declare `wanted`, or with `declare=False` only check that its exchanges and queues exist.

    What exists already with the same arguments does not change. Raises BrokerRefused when something exists with
    other arguments, except for a history with other bounds: nothing depends on them, and only a policy changes
    them; and when the virtual host is of the other kind of coordination. Raises BrokerUnavailable when something
    that is checked is missing.
    """
    await refuse_other_kind(connection, wanted)
    if not declare:
        await _check(connection, wanted)
        return
    channel = await in_time(connection.channel(publisher_confirms=False))
    raw = await in_time(channel.get_underlay_channel())
    for exchange in wanted.exchanges:
        await in_time(declare_exchange(raw, exchange, passive=False))
    for queue in wanted.queues:
        if queue.name != HISTORY or not await _has_other_bounds(connection, queue):
            await in_time(declare_queue(raw, queue, passive=False))
    for binding in wanted.bindings:
        await in_time(raw.queue_bind(binding.queue, binding.exchange, routing_key=binding.key))
    await in_time(channel.close())


async def _check(connection: AbstractConnection, wanted: Topology) -> None:
    """Check that what this user may see exists.

    From 4.2.7 and 4.3.1 on, RabbitMQ refuses the question to a user without any right on an exchange or queue.
    Whether those exist is for `topology check`, and the services that use them. Raises BrokerRefused when nothing
    may be seen.
    """
    objects: tuple[Exchange | Queue, ...] = (*wanted.exchanges, *wanted.queues)
    refusals: list[BrokerRefused] = []
    channel: AbstractChannel | None = None
    for one in objects:
        if channel is None:
            channel = await in_time(connection.channel(publisher_confirms=False))
        raw = await in_time(channel.get_underlay_channel())
        ask = declare_exchange(raw, one, passive=True) if isinstance(one, Exchange) else declare_queue(raw, one)
        try:
            await in_time(ask)
        except BrokerRefused as refusal:
            # The refusal closed the channel, so the next question needs another.
            channel = None
            refusals.append(refusal)
    if refusals and len(refusals) == len(objects):
        raise refusals[0]
    if channel is not None:
        await in_time(channel.close())


def declare_exchange(raw: Any, exchange: Exchange, *, passive: bool) -> Awaitable[Any]:
    answer: Awaitable[Any] = raw.exchange_declare(
        exchange=exchange.name, exchange_type=exchange.type, durable=True, passive=passive
    )
    return answer


def declare_queue(raw: Any, queue: Queue, *, passive: bool = True) -> Awaitable[Any]:
    answer: Awaitable[Any] = raw.queue_declare(
        queue.name, durable=True, passive=passive, arguments=queue.arguments
    )
    return answer


async def _has_other_bounds(connection: AbstractConnection, history: Queue) -> bool:
    ask = partial(declare_queue, queue=history, passive=False)
    refused = await negative_answer(connection, ask, aiormq.exceptions.ChannelPreconditionFailed)
    if refused is None:
        return False
    log.warning("history.retention_differs", broker=str(refused), remedy=f"a policy for {HISTORY}, or delete it")
    return True


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
