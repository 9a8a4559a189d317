"""What a broker has now: its objects as the management lists them, consumers as AMQP counts them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from choregraphie.broker import QueueState, connected, count_allowed, management_rows, queue_states
from choregraphie.errors import BadSetting
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import Binding, Topology
from choregraphie.settings import Settings

# A leader is elected and a message dead-lettered within a moment, and the figures are up to 10 s old, so a queue
# is looked at again before it counts as one without a leader or with hidden messages.
LOOKS = 4
LOOK_SECONDS = 5.0
SERVED = QueueState(served=True, hidden=None)
_COLUMNS = {
    "exchanges": "name,type,durable,auto_delete,internal,arguments",
    "queues": "name,durable,auto_delete,arguments,policy,effective_policy_definition",
    "bindings": "source,destination,destination_type,routing_key",
}


@dataclass(frozen=True)
class LiveExchange:
    type: str
    durable: bool = True
    internal: bool = False


@dataclass(frozen=True)
class LiveQueue:
    """`policy`: what a policy adds to the arguments; `policy_name`: the name of that policy."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    durable: bool = True
    policy: Mapping[str, Any] = field(default_factory=dict)
    policy_name: str = ""
    state: QueueState = SERVED


@dataclass(frozen=True)
class LiveTopology:
    """A virtual host at one moment.

    forwards  bindings that lead into another exchange: source, destination, key
    counts    messages and consumers of the declared queues that may be counted
    """

    exchanges: Mapping[str, LiveExchange]
    queues: Mapping[str, LiveQueue]
    bindings: frozenset[Binding]
    forwards: frozenset[Binding] = frozenset()
    counts: Mapping[str, QueueCount] = field(default_factory=dict)


async def read_live(settings: Settings, wanted: Topology) -> LiveTopology:
    """The virtual host of SAGA_AMQP_URL as it is now, the queues that are not of `wanted` included.

    Raises BadSetting when SAGA_MANAGEMENT_URL is not set, BrokerRefused, and BrokerUnavailable.
    """
    if not settings.management_url:
        raise BadSetting("SAGA_MANAGEMENT_URL is not set, and AMQP cannot ask for bindings and arguments")
    exchanges, queues, bindings = [
        await management_rows(settings, what, columns) for what, columns in _COLUMNS.items()
    ]
    async with connected(settings, "compares the topology") as connection:
        names = [queue.name for queue in wanted.queues]
        counts = await count_allowed(connection, names)
    states = await _settled_states(settings, {*names})
    return LiveTopology(
        exchanges={str(row["name"]): _exchange(row) for row in exchanges if row.get("name")},
        queues={str(row["name"]): _queue(row, states) for row in queues if row.get("name")},
        bindings=_bindings(bindings, "queue"),
        forwards=_bindings(bindings, "exchange"),
        counts={name: count for name, count in counts.items() if count is not None},
    )


async def _settled_states(settings: Settings, names: set[str]) -> Mapping[str, QueueState]:
    """The states of the queues, looked at again while one of `names` has no leader or hides messages."""
    for look in range(LOOKS):
        states = await queue_states(settings) or {}
        mine = [state for name, state in states.items() if name in names]
        if look == LOOKS - 1 or all(state.served and not state.hidden for state in mine):
            break
        await asyncio.sleep(LOOK_SECONDS)
    return states


def _exchange(row: Mapping[str, Any]) -> LiveExchange:
    return LiveExchange(
        type=str(row.get("type")), durable=row.get("durable") is True, internal=row.get("internal") is True
    )


def _queue(row: Mapping[str, Any], states: Mapping[str, QueueState]) -> LiveQueue:
    policy = row.get("effective_policy_definition")
    arguments = row.get("arguments")
    return LiveQueue(
        arguments=arguments if isinstance(arguments, dict) else {},
        durable=row.get("durable") is True,
        # RabbitMQ 3.10 answers an empty list where there is no policy.
        policy=policy if isinstance(policy, dict) else {},
        policy_name=str(row.get("policy") or ""),
        state=states.get(str(row["name"]), SERVED),
    )


def _bindings(rows: list[dict[str, Any]], to: str) -> frozenset[Binding]:
    return frozenset(
        Binding(str(row.get("source")), str(row.get("destination")), str(row.get("routing_key")))
        for row in rows
        if row.get("destination_type") == to and row.get("source")
    )
