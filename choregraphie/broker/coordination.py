"""Refuses a virtual host of the other kind of coordination: two kinds would answer the same events twice.

An orchestrated application has the exchanges `<service>.commands`; a choreographed one has inboxes without them. A
worker declares exchanges before queues, so an inbox without that exchange is never an orchestrated one in the
making.
"""

import contextlib

import aiormq
from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import in_time
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.saga.topology import Topology, commands, inbox

_NOT_SEEN = (aiormq.exceptions.ChannelNotFoundEntity, aiormq.exceptions.ChannelAccessRefused)


async def refuse_other_kind(connection: AbstractConnection, wanted: Topology) -> None:
    """Raises BrokerRefused when the virtual host of `connection` is used by the other kind."""
    if wanted.commanded:
        service = next(iter(wanted.commanded.values()))[0]
        if not await _exists(connection, exchange=commands(service)) and await _exists(
            connection, queue=inbox(service)
        ):
            raise _refusal("choreography", f"it has {inbox(service)} and no {commands(service)}")
        return
    service = next((queue.name for queue in wanted.queues if queue.name.endswith(inbox(""))), "").partition(".")[0]
    if service and await _exists(connection, exchange=commands(service)):
        raise _refusal("orchestration", f"it has {commands(service)}")


def _refusal(other: str, sign: str) -> BrokerRefused:
    return BrokerRefused(
        f"SAGA_COORDINATION: workers of the other kind, {other}, use this virtual host ({sign});"
        f" set SAGA_COORDINATION={other}, or name another virtual host in SAGA_AMQP_URL"
    )


async def _exists(connection: AbstractConnection, *, exchange: str = "", queue: str = "") -> bool:
    """Whether it is there. Of what this user may not see, it is taken that it is not."""
    # On a channel of its own, because a negative answer closes the channel.
    channel = await in_time(connection.channel(publisher_confirms=False))
    raw = await in_time(channel.get_underlay_channel())
    try:
        if exchange:
            await in_time(raw.exchange_declare(exchange=exchange, passive=True))
        else:
            await in_time(raw.queue_declare(queue, passive=True))
    except (BrokerRefused, BrokerUnavailable) as error:
        if isinstance(error.__cause__, _NOT_SEEN):
            return False
        raise
    with contextlib.suppress(BrokerUnavailable):
        await in_time(channel.close())
    return True
