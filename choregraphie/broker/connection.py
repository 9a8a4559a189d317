"""Opens connections to RabbitMQ with bounded waits, and classifies their errors.

Plain `connect`, under our own supervision: aio-pika's robust connection loses consumers after a reconnect,
rewinds a stream to its first offset and retries bad credentials for ever. Every wait has a bound, because the
client's own timeouts do not hold while it is disconnected.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from choregraphie.amqp_url import broker_address
from choregraphie.broker.lenient_decoding import install
from choregraphie.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY, Queue, Topology
from choregraphie.settings import Settings

CALL_SECONDS = 10
# A worker that is asked to leave has half a minute in all; what is not closed by then ends with the process.
CLOSE_SECONDS = 2

# What the broker answers when asking again would get the same answer.
_LOGIN_REFUSALS = (
    aiormq.exceptions.AuthenticationError,
    aiormq.exceptions.ProbableAuthenticationError,
)
_REFUSALS = (
    *_LOGIN_REFUSALS,
    aiormq.exceptions.ConnectionNotAllowed,
    aiormq.exceptions.ChannelAccessRefused,
    aiormq.exceptions.ChannelPreconditionFailed,
)
TROUBLES = (OSError, TimeoutError, aiormq.exceptions.AMQPError, aiormq.exceptions.ChannelInvalidStateError)

T = TypeVar("T")

log = structlog.get_logger()


async def in_time(awaitable: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
    """Wait at most `seconds`. Raises BrokerRefused or BrokerUnavailable, whichever the client's error means.

    Asked to stop meanwhile, the task stops, whatever the client makes of it: it may answer, or fail, all the same.
    """
    before = cancellations()
    try:
        async with asyncio.timeout(seconds):
            answer = await awaitable
    except (Exception, asyncio.CancelledError) as error:
        if cancellations() > before:
            raise asyncio.CancelledError from error
        if isinstance(error, (*_REFUSALS, *TROUBLES)):
            raise _meant(error) from error
        # The client cancels the waits of a connection that it closes; nobody asked us to stop.
        if isinstance(error, asyncio.CancelledError) or is_lost(error):
            raise BrokerUnavailable("the connection was closed") from error
        raise
    if cancellations() > before:
        raise asyncio.CancelledError
    return answer


def cancellations() -> int:
    """How often the running task was asked to stop. After a failed task group that is no longer zero."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def is_lost(error: Exception) -> bool:
    """Whether aiormq says with it, in an error without a kind of its own, that a connection is gone.

    A bare Exception ends what was waiting when the socket closed between two frames; a RuntimeError answers
    whoever asks a connection that has just been lost for a channel.
    """
    gone = isinstance(error, RuntimeError) and str(error).endswith(("closed", "not opened"))
    return gone or type(error) is Exception


def _meant(error: BaseException) -> BrokerRefused | BrokerUnavailable:
    if isinstance(error, _LOGIN_REFUSALS):
        return LoginRefused(error_text(error))
    if isinstance(error, _REFUSALS):
        return BrokerRefused(error_text(error))
    if isinstance(error, aiormq.exceptions.InvalidFrameError) and "OpenOk" in str(error):
        # The client does not read the answer in place of open-ok; its reason is in the broker's log.
        return BrokerRefused("the broker does not let this user into that virtual host")
    if _untrusted(error):
        return BrokerRefused(f"the broker's certificate is not to be trusted: {error_text(error)}")
    return BrokerUnavailable(error_text(error))


def _untrusted(error: BaseException) -> bool:
    """Whether a certificate failed its verification, somewhere below `error`.

    What lies below may be a ring: an error raised again can become the context of its own cause.
    """
    seen: set[int] = set()
    below: list[BaseException | None] = [error]
    while below:
        one = below.pop()
        if isinstance(one, ssl.SSLCertVerificationError):
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            below += [one.__cause__, one.__context__]
    return False


def error_text(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[AbstractConnection]:
    """A connection called `name` in the broker's tools. Raises BrokerRefused or BrokerUnavailable."""
    install()
    try:
        connection = await _connect(settings, name)
    except LoginRefused:
        # The password may have been changed: its file says the new one.
        if not settings.read_again("amqp_url"):
            raise
        connection = await _connect(settings, name)
    try:
        yield connection
    finally:
        with contextlib.suppress(BrokerUnavailable, BrokerRefused):
            await in_time(connection.close(), CLOSE_SECONDS)


class _ClosedOnFailure(aio_pika.Connection):
    """Closes itself when it cannot be opened.

    Otherwise the client closes it when it is collected, and Python warns on stderr when no loop runs there.
    """

    async def connect(self, timeout: float | None = None) -> None:
        """Raises what the client raises."""
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


async def _connect(settings: Settings, name: str) -> AbstractConnection:
    address = broker_address(settings.current("amqp_url"))
    opening = aio_pika.connect(
        address.url,
        heartbeat=address.heartbeat_seconds,
        timeout=address.connect_seconds,
        connection_class=_ClosedOnFailure,
        client_properties={"connection_name": f"{address.name} {name}".strip()},
        **address.options,
    )
    try:
        return await in_time(opening, address.connect_seconds + 1)
    except BrokerRefused as error:
        raise type(error)(f"SAGA_AMQP_URL, {address.user} at {address.place}: {error}") from error


async def apply_topology(connection: AbstractConnection, wanted: Topology, *, declare: bool) -> None:
    """Declare `wanted`, or with `declare=False` only check that its exchanges and queues exist.

    Declaring what is there already changes nothing; what is there with other arguments is refused, but for a
    history that was made with other bounds: nothing depends on them, and only a policy changes them.
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
    found: Awaitable[Any] = raw.queue_declare(
        queue.name, durable=True, passive=not declare, arguments=queue.arguments
    )
    return found


async def _has_other_bounds(connection: AbstractConnection, history: Queue, *, declare: bool) -> bool:
    # On a channel of its own: a refusal closes it.
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
    """Messages and consumers of each of `queues` that exists, by passive declaration."""
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
            # Whatever was wrong with this one, it closed the channel: the next question has another.
            channel = None
            if not isinstance(error.__cause__, aiormq.exceptions.ChannelNotFoundEntity):
                found[name] = None
    if channel is not None:
        await in_time(channel.close())
    return found
