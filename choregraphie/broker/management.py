"""Asks RabbitMQ's management HTTP API for what AMQP 0-9-1 cannot answer: bindings, leaders, hidden messages."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from choregraphie.amqp_url import broker_address
from choregraphie.errors import BrokerUnavailable, LoginRefused
from choregraphie.saga.topology import Binding, Topology
from choregraphie.settings import Settings

ANSWER_SECONDS = 5.0
# A binding or a queue takes some 300 bytes; an application has some dozens.
LARGEST_ANSWER_BYTES = 8_000_000
_FIGURES = ("messages", "messages_ready", "messages_unacknowledged")
_QUEUE_FIELDS = ",".join(("name", "state", "leader", "online", *_FIGURES))
_NOT_SERVED = ("down", "minority", "stopped", "crashed")


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of a queue, up to 10 s old.

    `served`: False when it has no leader or too few of its nodes run; AMQP 0-9-1 then answers every count with 0.
    `hidden`: messages that it holds and that are neither ready nor delivered, such as those that at-least-once
    dead-lettering has not got rid of yet; None when the management has no figures of the queue.
    """

    served: bool
    hidden: int | None


async def missing_bindings(settings: Settings, wanted: Topology) -> tuple[Binding, ...]:
    """The bindings of `wanted` that the broker does not have, in the order of `wanted`.

    Empty when SAGA_MANAGEMENT_URL is not set. Raises BrokerRefused when the management API refuses this user, and
    BrokerUnavailable when it gives no usable answer.
    """
    if not settings.management_url:
        return ()
    live = frozenset(_to_queues(await _list(settings, "bindings")))
    return tuple(binding for binding in wanted.bindings if binding not in live)


async def queue_states(settings: Settings) -> Mapping[str, QueueState] | None:
    """The state of each queue of the virtual host, by its name; None when SAGA_MANAGEMENT_URL is not set.

    Raises as `missing_bindings` does.
    """
    if not settings.management_url:
        return None
    rows = await _list(settings, "queues", f"?columns={_QUEUE_FIELDS}")
    return {
        row["name"]: QueueState(_is_served(row), _hidden(row)) for row in rows if isinstance(row.get("name"), str)
    }


async def _list(settings: Settings, what: str, query: str = "") -> list[dict[str, Any]]:
    path = f"{what}/{quote(broker_address(settings.current('amqp_url')).vhost, safe='')}{query}"
    try:
        rows = await _ask(settings, path)
    except LoginRefused:
        if not settings.read_again("management_url"):
            raise
        rows = await _ask(settings, path)
    if not isinstance(rows, list):
        raise BrokerUnavailable(f"the management answers no list of {what}")
    return [row for row in rows if isinstance(row, dict)]


async def _ask(settings: Settings, path: str) -> Any:
    url = f"{settings.current('management_url').rstrip('/')}/api/{path}"
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            _check_status(answer.status_code)
            return json.loads(await _content(answer))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise BrokerUnavailable(f"the management does not answer: {type(error).__name__}") from error
    except (ValueError, RecursionError) as error:
        raise BrokerUnavailable("the management answers no JSON") from error


def _check_status(status: int) -> None:
    if status in {401, 403}:
        raise LoginRefused(
            f"SAGA_MANAGEMENT_URL: HTTP {status}; the user needs its password and the tag management"
        )
    if status != 200:
        raise BrokerUnavailable(f"the management answers HTTP {status}")


async def _content(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            raise BrokerUnavailable(f"the management answers more than {LARGEST_ANSWER_BYTES} bytes")
    return bytes(content)


def _to_queues(rows: Iterable[dict[str, Any]]) -> Iterable[Binding]:
    for row in rows:
        named = (row.get("source"), row.get("destination"), row.get("routing_key"))
        if row.get("destination_type") == "queue" and all(isinstance(name, str) for name in named):
            yield Binding(*(str(name) for name in named))


def _is_served(row: Mapping[str, Any]) -> bool:
    # RabbitMQ 3.10 finds out whether the leader lives; 4.x names the last one, and says in `state` if it is down.
    # A field that is absent says nothing: a classic queue has no leader, a queue just declared no state.
    leaderless = "leader" in row and not row["leader"]
    return not (leaderless or row.get("online") == [] or row.get("state") in _NOT_SERVED)


def _hidden(row: Mapping[str, Any]) -> int | None:
    figures = [row.get(name) for name in _FIGURES]
    held, ready, delivered = (figure if type(figure) is int else None for figure in figures)
    if held is None or ready is None or delivered is None:
        return None
    return max(0, held - ready - delivered)
