"""Refuses a virtual host of the other kind of coordination: two kinds would answer the same events twice.

An orchestrated application has the exchanges `<service>.commands`; a choreographed one has inboxes without them. A
worker declares exchanges before queues, so an inbox without that exchange is never an orchestrated one in the
making.
"""

from collections.abc import Awaitable
from typing import Any

import aiormq
from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import negative_answer
from choregraphie.errors import BrokerRefused
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
    first = next((queue.name for queue in wanted.queues if queue.name.endswith(inbox(""))), "")
    service = first.removesuffix(inbox(""))
    if service and await _exists(connection, exchange=commands(service)):
        raise _refusal("orchestration", f"it has {commands(service)}")


def _refusal(other: str, sign: str) -> BrokerRefused:
    return BrokerRefused(
        f"SAGA_COORDINATION: workers of the other kind, {other}, use this virtual host ({sign});"
        f" set SAGA_COORDINATION={other}, or name another virtual host in SAGA_AMQP_URL"
    )


async def _exists(connection: AbstractConnection, *, exchange: str = "", queue: str = "") -> bool:
    """Whether it is there. Of what this user may not see, it is taken that it is not."""

    def ask(raw: Any) -> Awaitable[Any]:
        answer: Awaitable[Any] = (
            raw.exchange_declare(exchange=exchange, passive=True)
            if exchange
            else raw.queue_declare(queue, passive=True)
        )
        return answer

    return await negative_answer(connection, ask, *_NOT_SEEN) is None
