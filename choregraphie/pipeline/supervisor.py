"""Runs workers: opens their databases, keeps a session open, reconnects with backoff, stops in order."""

import asyncio
import contextlib
import os
import random
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
from choregraphie.pipeline.pipeline import Pipeline
from choregraphie.pipeline.refusals import LONGEST_PAUSE_SECONDS, RefusedLogin
from choregraphie.pipeline.shutdown import pause
from choregraphie.process.attribution import shortage
from choregraphie.process.resources import check_resources
from choregraphie.saga.topology import Topology
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.telemetry.metrics_server import exporting

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 30.0
# A session that lasted this long was a good one: the next begins without delay.
GOOD_SESSION_SECONDS = 10.0
# A database that does not close by then does not answer at all.
CLOSE_SECONDS = 3.0


OpenSession = Callable[[WorkerContext], contextlib.AbstractAsyncContextManager[BrokerSession]]


def backoff(failures: int, rng: random.Random | None = None) -> float:
    """Seconds to wait after that many failures in a row: doubling from 0.5 to 30, spread by half each way."""
    spread = (rng or random).uniform(0.5, 1.5)
    return min(LONGEST_WAIT_SECONDS, 0.5 * 2.0 ** min(failures - 1, 10)) * spread


async def run_workers(services: Sequence[Service], wanted: Topology, settings: Settings) -> None:
    """Run a worker of each of `services` until SIGTERM or SIGINT; a second signal leaves at once.

    `wanted` is the topology that they declare, or only check, on the broker.

    Raises UserError when a person must change something.
    """
    arm(settings.failpoint)
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    try:
        await _work(services, wanted, settings, stopping)
    except DatabaseUnavailable:
        if not stopping.is_set():
            raise


async def _work(
    services: Sequence[Service], wanted: Topology, settings: Settings, stopping: asyncio.Event
) -> None:
    def begin_session(context: WorkerContext) -> contextlib.AbstractAsyncContextManager[BrokerSession]:
        return open_session(settings, context.service, wanted)

    async with contextlib.AsyncExitStack() as stack:
        telemetry_of = stack.enter_context(exporting(settings))
        workers = [
            replace(
                await stack.enter_async_context(_context(s, settings, stopping)), telemetry=telemetry_of(s.name)
            )
            for s in services
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                for context in workers:
                    tasks.create_task(supervise(context, stopping, begin_session))
        except ExceptionGroup as group:
            raise _first(group) from None
        if not stopping.is_set():
            # A task that was cancelled does not trouble its group, and the program would end as if all were well.
            raise AssertionError("a worker ended, and nobody had asked it to")


def _stop_on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            log.warning("worker.left_at_once")
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


@contextlib.asynccontextmanager
async def _context(service: Service, settings: Settings, stopping: asyncio.Event) -> AsyncIterator[WorkerContext]:
    # One thread per database: SQLite has one writer, and a hop between threads costs more than a statement.
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"{service.name} database")
    database = await _opened(service, settings, thread, stopping)
    clock = SteadyClock()
    store = Store(service, database, StoreLimits.of(settings), clock.now)
    externals: Any = service.externals(settings) if service.externals else contextlib.nullcontext()
    try:
        async with externals as opened:
            yield WorkerContext(store, settings, thread, opened, clock.now, check_resources=check_resources)
    finally:
        await _close(service, database, thread)


async def _close(service: Service, database: Database, thread: ThreadPoolExecutor) -> None:
    closing = asyncio.get_running_loop().run_in_executor(thread, database.close)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing
    except TimeoutError:
        # A statement hangs, and the interpreter would wait for its thread: a restart finds everything as it is.
        log.error("database.hung", service=service.name)
        os._exit(1)
    thread.shutdown()


async def _opened(
    service: Service, settings: Settings, thread: ThreadPoolExecutor, stopping: asyncio.Event
) -> Database:
    failures = 0
    while True:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, open_database, service, settings)
        except Exception as trouble:
            if stopping.is_set() or not (isinstance(trouble, DatabaseUnavailable) or shortage(trouble)):
                raise
            failures += 1
            seconds = backoff(failures)
            log.warning("database.away", service=service.name, error=str(trouble), again_in_s=round(seconds, 1))
            await pause(seconds, stopping)


async def supervise(context: WorkerContext, stopping: asyncio.Event, open_session: OpenSession) -> None:
    """Work through one session after another until `stopping`. Raises UserError when a person must act."""
    structlog.contextvars.bind_contextvars(service=context.store.service.name)
    failures, ever_open, refused = 0, asyncio.Event(), RefusedLogin()
    while not stopping.is_set():
        begun = asyncio.get_running_loop().time()
        try:
            # A task of its own: whoever has run a task group that failed counts as cancelled from then on (Python
            # before 3.13), and on 3.11.2, which is Debian 12's, none of its timeouts ends as one any more.
            await asyncio.create_task(_serve(context, stopping, open_session, ever_open))
        except Exception as error:  # noqa: BLE001 - what will not pass is raised below
            trouble = _first(error) if isinstance(error, ExceptionGroup) else error
            if not _will_pass(trouble, error, ever_open=ever_open.is_set()):
                raise trouble from None
            if isinstance(trouble, LoginRefused):
                refused.note(trouble)
            if (short := own_shortage(error, context)) is not None:
                context.shortages.begin(SESSION, context.telemetry, short)
            lasted = asyncio.get_running_loop().time() - begun
            failures = 1 if lasted > GOOD_SESSION_SECONDS else failures + 1
            await _wait(failures, trouble, context, stopping)


def _will_pass(trouble: Exception, whole: Exception, *, ever_open: bool) -> bool:
    """Whether another session may do better: the broker is away, or the worker was short of something."""
    if isinstance(trouble, BrokerRefused):
        # A refusal at the first try is a mistake in the settings; later, somebody is at work there.
        return ever_open
    if isinstance(trouble, BrokerUnavailable):
        return True
    return not isinstance(trouble, UserError) and shortage(whole) is not None


def own_shortage(error: Exception, context: WorkerContext) -> ResourceShortage | None:
    """What the worker itself was short of when a session ended with `error`, if that is why."""
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
    """One session, from its beginning to its end."""
    async with open_session(context) as session:
        pipeline = Pipeline(context, session, stopping)
        with context.telemetry.session():
            try:
                await pipeline.run()
            finally:
                if pipeline.consuming:
                    ever_open.set()


async def _wait(failures: int, trouble: Exception, context: WorkerContext, stopping: asyncio.Event) -> None:
    seconds = backoff(failures, context.rng)
    if isinstance(trouble, LoginRefused):
        seconds = min(seconds, LONGEST_PAUSE_SECONDS)
    log.warning(
        "session.lost",
        broker=broker_address(context.settings.current("amqp_url")).place,
        error=str(trouble),
        again_in_s=round(seconds, 1),
    )
    await pause(seconds, stopping)


def _first(group: "ExceptionGroup[Exception]") -> Exception:
    """The error that matters of those that ended together: ours before any other."""
    errors = [_first(error) if isinstance(error, ExceptionGroup) else error for error in group.exceptions]
    return next((error for error in errors if isinstance(error, ChoregraphieError)), errors[0])
