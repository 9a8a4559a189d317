"""Applies a topology as an operator does: all of it, or nothing where a queue exists as something else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiormq
from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import in_time, negative_answer
from choregraphie.broker.coordination import refuse_other_kind
from choregraphie.broker.topology import declare_exchange, declare_queue
from choregraphie.saga.topology import HISTORY, Exchange, Queue, Topology


@dataclass(frozen=True)
class Deployed:
    """What applying a topology came to.

    made          the exchanges and queues that were not there before
    refused       those that exist as something else, each with the broker's words; nothing was made then
    other_bounds  the broker's words when the history has other bounds, which are left as they are
    """

    made: tuple[str, ...]
    refused: dict[str, str]
    other_bounds: str = ""


async def deploy(connection: AbstractConnection, wanted: Topology, on_step: Callable[[], None]) -> Deployed:
    """Make `wanted`, unless some of it exists as something else. `on_step` is called once or twice for each.

    Raises BrokerRefused when this user may not declare it, and BrokerUnavailable.
    """
    await refuse_other_kind(connection, wanted)
    missing: list[Exchange | Queue] = []
    unlike: dict[str, str] = {}
    objects: tuple[Exchange | Queue, ...] = (*wanted.exchanges, *wanted.queues)
    for one in objects:
        if not await _exists(connection, one):
            missing.append(one)
        elif text := await _unlike(connection, one):
            unlike[one.name] = text
        on_step()
    other_bounds = unlike.pop(HISTORY, "")
    if unlike:
        return Deployed((), unlike, other_bounds)
    channel = await in_time(connection.channel(publisher_confirms=False))
    raw = await in_time(channel.get_underlay_channel())
    for one in objects:
        if one in missing:
            await in_time(_declare(raw, one, passive=False))
        on_step()
    for binding in wanted.bindings:
        await in_time(raw.queue_bind(binding.queue, binding.exchange, routing_key=binding.key))
        on_step()
    await in_time(channel.close())
    return Deployed(tuple(one.name for one in missing), {}, other_bounds)


def steps(wanted: Topology) -> int:
    """How often `deploy` calls its `on_step` when nothing is refused."""
    return 2 * (len(wanted.exchanges) + len(wanted.queues)) + len(wanted.bindings)


async def _exists(connection: AbstractConnection, one: Exchange | Queue) -> bool:
    ask = partial(_declare, one=one, passive=True)
    return await negative_answer(connection, ask, aiormq.exceptions.ChannelNotFoundEntity) is None


async def _unlike(connection: AbstractConnection, one: Exchange | Queue) -> str:
    """The broker's words when what exists by that name is not `one`; empty when it is."""
    ask = partial(_declare, one=one, passive=False)
    refused = await negative_answer(connection, ask, aiormq.exceptions.ChannelPreconditionFailed)
    return str(refused) if refused else ""


def _declare(raw: Any, one: Exchange | Queue, *, passive: bool) -> Awaitable[Any]:
    if isinstance(one, Exchange):
        return declare_exchange(raw, one, passive=passive)
    return declare_queue(raw, one, passive=passive)
