"""Opens connections to RabbitMQ with bounded waits, and classifies their errors.

Uses plain `connect` under our own supervision: aio-pika's robust connection loses consumers after a reconnect,
rewinds a stream to its first offset, and retries bad credentials for ever. Every wait has a bound, because the
client's own timeouts do not hold while it is disconnected.
"""

import asyncio
import contextlib
import functools
import os
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractConnection
from pamqp import commands

from choregraphie.amqp_url import broker_address
from choregraphie.broker.lean.transport import LeanTransport
from choregraphie.broker.lenient_decoding import install
from choregraphie.broker.refused_tls import tls_refusal
from choregraphie.broker.transport import GatheringTransport, unsupported
from choregraphie.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from choregraphie.process.attribution import was_raised_by
from choregraphie.process.cancellation import cancellations
from choregraphie.settings import Settings
from choregraphie.tls import distrust

CALL_SECONDS = 10
CONFIRM_SECONDS = 30
# A worker that is asked to stop has half a minute in all; what is not closed by then ends with the process.
CLOSE_SECONDS = 2
# The prefetch and the publish window bound it too.
_FRAMES_AT_ONCE = 600

# Errors after which another try would get the same answer.
_LOGIN_REFUSALS = (aiormq.exceptions.AuthenticationError, aiormq.exceptions.ProbableAuthenticationError)
_REFUSALS = (
    *_LOGIN_REFUSALS,
    aiormq.exceptions.ConnectionNotAllowed,
    aiormq.exceptions.ChannelAccessRefused,
    aiormq.exceptions.ChannelPreconditionFailed,
)
LOST_ERRORS = (OSError, TimeoutError, aiormq.exceptions.AMQPError, aiormq.exceptions.ChannelInvalidStateError)

# Both raise a RuntimeError on a connection that has been lost.
_OPEN_CHANNEL = (aiormq.Connection.channel, aio_pika.Connection.channel)

T = TypeVar("T")

log = structlog.get_logger()


async def in_time(awaitable: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
    """Wait at most `seconds`. Raises BrokerRefused or BrokerUnavailable, whichever the client's error means.

    When the task is cancelled meanwhile, it is cancelled even if the client answers or raises something else.
    """
    before = cancellations()
    try:
        async with asyncio.timeout(seconds):
            answer = await awaitable
    except (Exception, asyncio.CancelledError) as error:
        if cancellations() > before:
            raise asyncio.CancelledError from error
        if isinstance(error, (*_REFUSALS, *LOST_ERRORS)):
            raise _meaning(error) from error
        # The client cancels the waits of a connection that it closes, without anyone cancelling this task.
        if isinstance(error, asyncio.CancelledError) or is_lost(error):
            raise BrokerUnavailable("the connection was closed") from error
        raise
    if cancellations() > before:
        raise asyncio.CancelledError
    return answer


def is_lost(error: Exception) -> bool:
    """Whether `error` reports a lost connection without a class of its own.

    The client raises a bare Exception in whatever waits when the socket closes between two frames, and a
    RuntimeError when a channel is asked of a connection that has just been lost.
    """
    return type(error) is Exception or (isinstance(error, RuntimeError) and was_raised_by(error, *_OPEN_CHANNEL))


def _meaning(error: BaseException) -> BrokerRefused | BrokerUnavailable:
    if isinstance(error, _LOGIN_REFUSALS):
        return LoginRefused(error_text(error))
    if isinstance(error, _REFUSALS):
        return BrokerRefused(error_text(error))
    if _is_refused_open(error):
        return BrokerRefused("the broker does not let this user into that virtual host")
    if why := distrust(error):
        return BrokerRefused(why)
    return BrokerUnavailable(error_text(error))


def _is_refused_open(error: BaseException) -> bool:
    """Whether the broker closed the connection instead of opening the virtual host.

    The client raises an InvalidFrameError for any unexpected frame, and keeps the two frames only as local
    variables.
    """
    if not isinstance(error, aiormq.exceptions.InvalidFrameError):
        return False
    return any(
        isinstance(frame.f_locals.get("request"), commands.Connection.Open)
        and isinstance(frame.f_locals.get("frame"), commands.Connection.Close)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def error_text(error: BaseException) -> str:
    """One line about `error`. The client quotes Python's text of a system error, with its number and address."""
    cause = error.__cause__
    if isinstance(cause, ConnectionError) and cause.errno:
        return os.strerror(cause.errno)
    if isinstance(cause, socket.gaierror):
        return str(cause.strerror)
    return " ".join(str(error).split())[:300] or type(error).__name__


def why_closed(closing: "asyncio.Future[Any]") -> str:
    """Why a channel was closed. `closing`: the future that the client keeps of it, which is done."""
    error = None if closing.cancelled() else closing.exception()
    return error_text(error) if error else "the channel was closed"


async def negative_answer(
    connection: AbstractConnection, question: Callable[[Any], Awaitable[Any]], *kinds: type[Exception]
) -> BrokerRefused | BrokerUnavailable | None:
    """Ask `question` on a channel of its own, because a negative answer closes the channel.

    Returns that answer when the client's error is one of `kinds`, and None for a positive one. For every other
    error it raises BrokerRefused or BrokerUnavailable.
    """
    channel = await in_time(connection.channel(publisher_confirms=False))
    try:
        await in_time(question(await in_time(channel.get_underlay_channel())))
    except (BrokerRefused, BrokerUnavailable) as error:
        if not isinstance(error.__cause__, kinds):
            raise
        return error
    with contextlib.suppress(BrokerUnavailable):
        await in_time(channel.close())
    return None


@contextlib.asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[AbstractConnection]:
    """Open a connection; the broker's tools show it as `name`. Raises BrokerRefused or BrokerUnavailable."""
    install()
    try:
        connection = await _connect(settings, name)
    except LoginRefused:
        # The password may have been changed, and its file may hold the new one.
        if not settings.read_again("amqp_url"):
            raise
        connection = await _connect(settings, name)
    try:
        yield connection
    finally:
        with contextlib.suppress(BrokerUnavailable, BrokerRefused):
            await in_time(connection.close(), CLOSE_SECONDS)


class _Connection(aio_pika.Connection):
    """Closes itself when it cannot be opened.

    Otherwise the client closes it on garbage collection, and Python warns on stderr when no loop runs by then.
    """

    async def connect(self, timeout: float | None = None) -> None:
        """Connect, and close what was opened when that fails. Raises what the client raises."""
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class LeanConnection(_Connection):
    """A connection on which lean lanes can be opened."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.lane_transport = LeanTransport()
        # The client knows this option; aio-pika passes on only the options of a URL.
        self.kwargs["transport_factory"] = self.lane_transport


class PublicConnection(_Connection):
    """A connection for public lanes, which sends together what the client writes in a row."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.kwargs["transport_factory"] = GatheringTransport()

    async def lane_channel(self, **options: Any) -> Any:
        """Open a channel of the client that takes the frames of many messages in one turn of the event loop.

        By default it takes ten, of three messages, and the rest waits. Raises what the client raises.
        """
        if self.transport is None:
            raise aiormq.exceptions.ChannelInvalidStateError("the connection was closed")
        return await self.transport.connection.channel(frame_buffer_size=_FRAMES_AT_ONCE, **options)


def _connection_class(settings: Settings) -> type[_Connection]:
    """The class for the lane that the settings name. Raises BrokerRefused when it is lean and cannot be."""
    if (why := unsupported()) is None:
        return PublicConnection if settings.lane == "public" else LeanConnection
    if settings.lane == "lean":
        raise BrokerRefused(f"SAGA_LANE: lean is not possible: {why}")
    _log_fall_back("lane.is_public" if settings.lane == "auto" else "lane.sends_each_write", why)
    return _Connection


@functools.cache
def _log_fall_back(event: str, why: str) -> None:
    """Once in a process."""
    log.warning(event, why=why)


async def _connect(settings: Settings, name: str) -> AbstractConnection:
    address = broker_address(settings.current("amqp_url"))
    opening = aio_pika.connect(
        address.url,
        heartbeat=address.heartbeat_seconds,
        timeout=address.connect_seconds,
        connection_class=_connection_class(settings),
        client_properties={"connection_name": f"{address.name} {name}".strip()},
        **address.options,
    )
    try:
        return await in_time(opening, address.connect_seconds + 1)
    except BrokerRefused as error:
        raise type(error)(f"SAGA_AMQP_URL, {address.user} at {address.place}: {error}") from error
    except BrokerUnavailable as error:
        if why := await tls_refusal(address, error.__cause__):
            raise BrokerRefused(f"SAGA_AMQP_URL, {address.user} at {address.place}: {why}") from error
        raise BrokerUnavailable(f"{address.place}: {error}") from error
