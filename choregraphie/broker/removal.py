"""Deletes a topology: a demonstration leaves a borrowed broker as it found it."""

from choregraphie.broker.connection import connected, in_time
from choregraphie.saga.topology import Topology
from choregraphie.settings import Settings


async def remove_topology(settings: Settings, unwanted: Topology) -> None:
    """Delete the queues and exchanges of `unwanted`, with whatever is in them. What is not there is passed over.

    Raises BrokerRefused or BrokerUnavailable.
    """
    async with connected(settings, "takes the topology away") as connection:
        channel = await in_time(connection.channel(publisher_confirms=False))
        raw = await in_time(channel.get_underlay_channel())
        for queue in unwanted.queues:
            await in_time(raw.queue_delete(queue.name))
        for exchange in unwanted.exchanges:
            await in_time(raw.exchange_delete(exchange.name))
