"""Runs workers: opens their databases, keeps a session open, reconnects with backoff, stops in order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import structlog

from choregraphie.amqp_url import broker_address
from choregraphie.broker import open_session
from choregraphie.errors import (
    BrokerRefused,
    BrokerUnavailable,
    ChoregraphieError,
    DatabaseUnavailable,
    LoginRefused,
    ResourceShortage,
    UserError,
)
from choregraphie.failpoints import arm
from choregraphie.messaging import BrokerSession
from choregraphie.pipeline.clock import SteadyClock
from choregraphie.pipeline.context import SESSION, WorkerContext
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.pipeline import Pipeline
from choregraphie.process.attribution import shortage
from choregraphie.process.interruptible import pause
from choregraphie.process.resources import check_resources
from choregraphie.retrying import RefusedLogin, SessionBackoff, backoff
from choregraphie.saga.topology import Topology
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.signing import signer_for, verifier_for
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.telemetry.exporting import exporting_traces
from choregraphie.telemetry.hooks import Tracing
from choregraphie.telemetry.serving import serving_metrics

log = structlog.get_logger()

# A database that takes longer to close does not answer at all.
CLOSE_SECONDS = 3.0


OpenSession = Callable[[WorkerContext], contextlib.AbstractAsyncContextManager[BrokerSession]]


async def run_workers(services: Sequence[Service], wanted: Topology, settings: Settings) -> None:
    """Run a worker of each of `services` until SIGTERM or SIGINT; a second signal ends the process at once.

    The workers declare the topology `wanted` on the broker, or only check it.

    Raises UserError when a person must change something.
    """
    arm(settings.failpoint)
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    try:
        await run_until(stopping, services, wanted, settings)
    except DatabaseUnavailable:
        if not stopping.is_set():
            raise


async def run_until(
    stopping: asyncio.Event, services: Sequence[Service], wanted: Topology, settings: Settings
) -> None:
    """Run a worker of each service until `stopping` is set. The caller handles signals."""

    def open_service_session(context: WorkerContext) -> contextlib.AbstractAsyncContextManager[BrokerSession]:
        return open_session(settings, context.service, wanted)

    async with contextlib.AsyncExitStack() as stack:
        telemetry_of = stack.enter_context(serving_metrics(settings))
        tracing_of = await stack.enter_async_context(exporting_traces(settings))
        workers = [
            replace(
                await stack.enter_async_context(_open_context(s, settings, stopping, tracing_of(s))),
                telemetry=telemetry_of(s.name),
            )
            for s in services
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                for context in workers:
                    tasks.create_task(supervise(context, stopping, open_service_session))
        except ExceptionGroup as group:
            raise _first_own(group) from None
        if not stopping.is_set():
            # A task group ignores a cancelled task, and the program would end with exit code 0.
            raise AssertionError("a worker ended without being asked to")


def _stop_on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            log.warning("worker.forced_exit")
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


@contextlib.asynccontextmanager
async def _open_context(
    service: Service, settings: Settings, stopping: asyncio.Event, tracing: Tracing
) -> AsyncIterator[WorkerContext]:
    # Before anything is opened: a key that is missing is a mistake in the settings.
    signer_for(settings, service.name)
    decoder = Decoder(service, verifier_for(settings))
    # One thread per database: SQLite has one writer, and a switch between threads costs more than a statement.
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"{service.name} database")
    database = await _open_when_available(service, settings, thread, stopping)
    clock = SteadyClock()
    store = Store(service, database, StoreLimits.of(settings), clock.now, tracing.traced)
    externals: Any = service.externals(settings) if service.externals else contextlib.nullcontext()
    try:
        async with externals as external:
            yield WorkerContext(
                store,
                settings,
                thread,
                external,
                clock.now,
                tracing=tracing,
                check_resources=check_resources,
                decoder=decoder,
            )
    finally:
        await _close(service, database, thread)


async def _close(service: Service, database: Database, thread: ThreadPoolExecutor) -> None:
    closing = asyncio.get_running_loop().run_in_executor(thread, database.close)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing
    except TimeoutError:
        # A statement hangs, and the interpreter would wait for its thread. Nothing is lost: it is as after a
        # crash.
        log.error("database.hung", service=service.name)
        os._exit(1)
    thread.shutdown()


async def _open_when_available(
    service: Service, settings: Settings, thread: ThreadPoolExecutor, stopping: asyncio.Event
) -> Database:
    failures = 0
    while True:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, open_database, service, settings)
        except Exception as cause:
            if not (isinstance(cause, DatabaseUnavailable) or shortage(cause)):
                raise
            if stopping.is_set():
                raise DatabaseUnavailable(str(cause)) from cause
            failures += 1
            seconds = backoff(failures)
            log.warning(
                "database.unavailable", service=service.name, error=str(cause), again_in_s=round(seconds, 1)
            )
            await pause(seconds, stopping)


async def supervise(context: WorkerContext, stopping: asyncio.Event, open_session: OpenSession) -> None:
    """Work through one session after another until `stopping`. Raises UserError when a person must act."""
    structlog.contextvars.bind_contextvars(service=context.store.service.name)
    pauses, ever_open, refused = SessionBackoff(), asyncio.Event(), RefusedLogin()
    while not stopping.is_set():
        opened_at = asyncio.get_running_loop().time()
        try:
            # A task of its own: before Python 3.13 a task counts as cancelled once a task group in it has failed,
            # and on 3.11.2, which is Debian 12's, none of its timeouts works any more.
            await asyncio.create_task(_serve(context, stopping, open_session, ever_open))
        except Exception as error:  # noqa: BLE001 - raised below unless another session may succeed
            cause = _first_own(error) if isinstance(error, ExceptionGroup) else error
            if not _may_pass(cause, error, ever_open=ever_open.is_set()):
                raise cause from None
            if isinstance(cause, LoginRefused):
                refused.note(cause)
            if (short := own_shortage(error, context)) is not None:
                context.shortages.begin(SESSION, context.telemetry, short)
            lasted = asyncio.get_running_loop().time() - opened_at
            await _back_off(pauses.seconds(cause, lasted, context.rng), cause, context, stopping)


def _may_pass(cause: Exception, whole: Exception, *, ever_open: bool) -> bool:
    """Whether another session may succeed: the broker was away, or the worker was short of resources."""
    if isinstance(cause, BrokerRefused):
        # A refusal at the first try is a mistake in the settings; later, an operator is changing the broker.
        return ever_open
    if isinstance(cause, BrokerUnavailable):
        return True
    return not isinstance(cause, UserError) and shortage(whole) is not None


def own_shortage(error: Exception, context: WorkerContext) -> ResourceShortage | None:
    """The shortage of the worker's own resources that ended a session with `error`, or None."""
    short = shortage(error)
    if short is None:
        try:
            context.check_resources()
        except ResourceShortage as lacking:
            return lacking
    return short


async def _serve(
    context: WorkerContext, stopping: asyncio.Event, open_session: OpenSession, ever_open: asyncio.Event
) -> None:
    """Run one session from its beginning to its end."""
    async with open_session(context) as session:
        pipeline = Pipeline(context, session, stopping)
        with context.telemetry.session():
            try:
                await pipeline.run()
            finally:
                if pipeline.consuming:
                    ever_open.set()


async def _back_off(seconds: float, cause: Exception, context: WorkerContext, stopping: asyncio.Event) -> None:
    log.warning(
        "session.lost",
        broker=broker_address(context.settings.current("amqp_url")).place,
        error=str(cause),
        again_in_s=round(seconds, 1),
    )
    await pause(seconds, stopping)


def _first_own(group: "ExceptionGroup[Exception]") -> Exception:
    """The first error of this project in `group`, otherwise its first error."""
    errors = [_first_own(error) if isinstance(error, ExceptionGroup) else error for error in group.exceptions]
    return next((error for error in errors if isinstance(error, ChoregraphieError)), errors[0])
