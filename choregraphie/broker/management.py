"""Asks RabbitMQ's management HTTP API for what AMQP 0-9-1 cannot answer: bindings, leaders, hidden messages."""

import asyncio
import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from choregraphie.amqp_url import broker_address
from choregraphie.errors import BrokerRefused, LoginRefused, ManagementUnavailable
from choregraphie.saga.topology import Binding, Topology
from choregraphie.settings import Settings
from choregraphie.tls import distrust, https_address

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 5.0
# The broker makes every queue of a document before it answers.
IMPORT_SECONDS = 60.0
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
    live = frozenset(_to_queues(await management_rows(settings, "bindings")))
    return tuple(binding for binding in wanted.bindings if binding not in live)


async def queue_states(settings: Settings) -> Mapping[str, QueueState] | None:
    """The state of each queue of the virtual host, by its name; None when SAGA_MANAGEMENT_URL is not set.

    Raises as `missing_bindings` does.
    """
    if not settings.management_url:
        return None
    rows = await management_rows(settings, "queues", _QUEUE_FIELDS)
    return {
        row["name"]: QueueState(_is_served(row), _hidden(row)) for row in rows if isinstance(row.get("name"), str)
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the management API. `at`: the clock of its host, in whole seconds; None when it names none."""

    content: Any
    at: dt.datetime | None


async def management_rows(
    settings: Settings, what: str, columns: str = "", *, of_vhost: bool = True
) -> list[dict[str, Any]]:
    """What the management lists as `what`: `queues`, `users`, …; `of_vhost`: of the virtual host of SAGA_AMQP_URL.

    `columns`: their names with commas between them; without them, all. Raises as `ask` does.
    """
    vhost = f"/{quote(broker_address(settings.current('amqp_url')).vhost, safe='')}" if of_vhost else ""
    rows = (await ask(settings, f"{what}{vhost}{'?columns=' if columns else ''}{columns}")).content
    if not isinstance(rows, list):
        raise ManagementUnavailable(f"SAGA_MANAGEMENT_URL: the management answers no list of {what}")
    return [row for row in rows if isinstance(row, dict)]


async def ask(settings: Settings, path: str) -> Answer:
    """The answer of the management to `path`, below `/api`.

    Raises BrokerRefused when it refuses this user, and BrokerUnavailable when it gives no usable answer.
    """
    return await _with_newer_login(settings, "GET", path, None)


async def import_definitions(settings: Settings, document: Mapping[str, Any]) -> None:
    """Have the broker take over what `document` defines; only an administrator may. Raises as `ask` does."""
    await _with_newer_login(settings, "POST", "definitions", document)


async def _with_newer_login(
    settings: Settings, method: str, path: str, document: Mapping[str, Any] | None
) -> Answer:
    try:
        return await _send(settings, method, path, document)
    except LoginRefused:
        if not settings.read_again("management_url"):
            raise
        return await _send(settings, method, path, document)


async def _send(settings: Settings, method: str, path: str, document: Mapping[str, Any] | None) -> Answer:
    import httpx  # here: most workers and commands ask no management API, and its import takes long

    try:
        base, context = https_address(settings.current("management_url"))
    except ValueError as error:  # a file that its parameters name has gone since the start
        raise ManagementUnavailable(f"SAGA_MANAGEMENT_URL: {error}") from error
    seconds = ANSWER_SECONDS if document is None else IMPORT_SECONDS
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=seconds, follow_redirects=False, verify=context) as client,
            client.stream(method, f"{base.rstrip('/')}/api/{path}", json=document) as answer,
        ):
            content = await _content(answer)
            _check_status(answer.status_code, method, content, _named(base))
            return Answer(json.loads(content) if content else None, _date(answer))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        if why := distrust(error):
            raise BrokerRefused(f"{_named(base)}: {why}") from error
        raise ManagementUnavailable(f"{_named(base)}: the management does not answer: {_cause(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ManagementUnavailable(f"{_named(base)}: what answers there is no management: no JSON") from error


def _cause(error: BaseException) -> str:
    """What the system says of the connection; else what the client says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return os.strerror(cause.errno) if cause.errno else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__


def _named(base: str) -> str:
    """The setting, and the place of the URL `base` without its password."""
    return f"SAGA_MANAGEMENT_URL, {urlsplit(base).netloc.rpartition('@')[2]}"


def _date(answer: "httpx.Response") -> dt.datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=dt.UTC)  # `-0000` is UTC without a zone (RFC 5322, 3.3)


def _check_status(status: int, method: str, content: bytes, named: str) -> None:
    if status in {401, 403}:
        tag = "management" if method == "GET" else "administrator"
        raise LoginRefused(f"SAGA_MANAGEMENT_URL: HTTP {status}; the user needs its password and the tag {tag}")
    if method == "POST" and status == 400:
        raise BrokerRefused(f"the management refuses the definitions: {_reason(content)}")
    if status not in {200, 201, 204}:
        raise ManagementUnavailable(f"{named}: the management answers HTTP {status}")


def _reason(content: bytes) -> str:
    try:
        text = str(json.loads(content)["reason"])
    except (ValueError, RecursionError, KeyError, TypeError):
        text = content.decode(errors="replace")
    return " ".join(text.split())[:300]


async def _content(answer: "httpx.Response") -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            raise ManagementUnavailable(f"SAGA_MANAGEMENT_URL: it answers more than {LARGEST_ANSWER_BYTES} bytes")
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
