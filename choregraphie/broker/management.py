"""RabbitMQ's management HTTP API, asked for what AMQP 0-9-1 cannot answer: which bindings there are."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx

from choregraphie.amqp_url import broker_address
from choregraphie.errors import BrokerUnavailable, LoginRefused
from choregraphie.saga.topology import Binding, Topology
from choregraphie.settings import Settings

ANSWER_SECONDS = 5.0
# A binding takes some 300 bytes; an application has some dozens.
LARGEST_ANSWER_BYTES = 8_000_000


async def missing_bindings(settings: Settings, wanted: Topology) -> tuple[Binding, ...]:
    """The bindings of `wanted` that the broker does not have now, in the order of `wanted`.

    Empty when SAGA_MANAGEMENT_URL is not set: then nobody can be asked. Raises BrokerRefused when the management
    lets this user ask nothing, BrokerUnavailable when it gives no answer that can be used.
    """
    if not settings.management_url:
        return ()
    path = f"bindings/{quote(broker_address(settings.current('amqp_url')).vhost, safe='')}"
    try:
        rows = await _ask(settings, path)
    except LoginRefused:
        if not settings.read_again("management_url"):
            raise
        rows = await _ask(settings, path)
    live = _bindings(rows)
    return tuple(binding for binding in wanted.bindings if binding not in live)


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


def _bindings(rows: Any) -> frozenset[Binding]:
    if not isinstance(rows, list):
        raise BrokerUnavailable("the management answers no list of bindings")
    return frozenset(_to_queues(row for row in rows if isinstance(row, dict)))


def _to_queues(rows: Iterable[dict[str, Any]]) -> Iterable[Binding]:
    for row in rows:
        named = (row.get("source"), row.get("destination"), row.get("routing_key"))
        if row.get("destination_type") == "queue" and all(isinstance(name, str) for name in named):
            yield Binding(*(str(name) for name in named))
