"""Opens connections to RabbitMQ with bounded waits, and classifies their errors.

Uses plain `connect` under our own supervision: aio-pika's robust connection loses consumers after a reconnect,
rewinds a stream to its first offset, and retries bad credentials for ever. Every wait has a bound, because the
client's own timeouts do not hold while it is disconnected.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractConnection

from choregraphie.amqp_url import broker_address
from choregraphie.broker.lenient_decoding import install
from choregraphie.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from choregraphie.settings import Settings

CALL_SECONDS = 10
# A worker that is asked to stop has half a minute in all; what is not closed by then ends with the process.
CLOSE_SECONDS = 2

# Errors after which another try would get the same answer.
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
LOST_ERRORS = (OSError, TimeoutError, aiormq.exceptions.AMQPError, aiormq.exceptions.ChannelInvalidStateError)

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


def cancellations() -> int:
    """How often the running task was cancelled. After a failed task group this is not zero."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def is_lost(error: Exception) -> bool:
    """Whether `error` is one of the two without a class of their own by which aiormq reports a lost connection.

    It raises a bare Exception in whatever waits when the socket closes between two frames, and a RuntimeError when
    a channel is asked of a connection that has just been lost. Only the text tells that RuntimeError from others.
    """
    gone = isinstance(error, RuntimeError) and str(error).endswith(("closed", "not opened"))
    return gone or type(error) is Exception


def _meaning(error: BaseException) -> BrokerRefused | BrokerUnavailable:
    if isinstance(error, _LOGIN_REFUSALS):
        return LoginRefused(error_text(error))
    if isinstance(error, _REFUSALS):
        return BrokerRefused(error_text(error))
    if isinstance(error, aiormq.exceptions.InvalidFrameError) and "OpenOk" in str(error):
        # The client does not read the frame that comes in place of open-ok; the broker's log has the reason.
        return BrokerRefused("the broker does not let this user into that virtual host")
    if _untrusted(error):
        return BrokerRefused(f"the broker's certificate is not trusted: {error_text(error)}")
    return BrokerUnavailable(error_text(error))


def _untrusted(error: BaseException) -> bool:
    """Whether `error`, or an error below it, is a failed verification of a certificate.

    There may be a cycle: an error that is raised again can become the context of its own cause.
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


class _ClosedOnFailure(aio_pika.Connection):
    """Closes itself when it cannot be opened.

    Otherwise the client closes it on garbage collection, and Python warns on stderr when no loop runs by then.
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
