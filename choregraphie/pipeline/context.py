"""What a worker works with, session after session: the books, the thread they are kept on, the outside."""

import asyncio
import contextlib
import contextvars
import datetime as dt
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from choregraphie.errors import (
    ChoregraphieError,
    DatabaseRefused,
    DatabaseUnavailable,
    ReactionFailed,
    ResourceShortage,
)
from choregraphie.pipeline.refusals import RefusedLogin
from choregraphie.pipeline.shortages import Shortages
from choregraphie.process.attribution import shortage
from choregraphie.settings import Settings
from choregraphie.storage.database import Conflict
from choregraphie.storage.store import Store
from choregraphie.telemetry.metrics import SILENT, Telemetry

log = structlog.get_logger()

PAUSE_SECONDS = 1.0
# The stages in which a worker waits for what it needs itself.
RESOURCES, DATABASE, CALLS, INTAKE, SESSION = "resources", "database", "calls", "intake", "session"

T = TypeVar("T")


@dataclass(frozen=True)
class WorkerContext:
    """`externals` is what the service's calls speak to; `now` the clock of its deadlines; `dice` spreads retries.

    `telemetry` is told how the work goes. `check_resources` raises ResourceShortage when this process has too
    little of something to go on.
    """

    store: Store
    settings: Settings
    thread: Executor
    externals: Any
    now: Callable[[], dt.datetime]
    rng: random.Random = field(default_factory=random.Random)
    telemetry: Telemetry = SILENT
    refused: RefusedLogin = field(default_factory=RefusedLogin)
    check_resources: Callable[[], None] = lambda: None
    shortages: Shortages = field(default_factory=Shortages)
    _left_over: list[Callable[[], object]] = field(default_factory=list)

    @property
    def service(self) -> str:
        return self.store.service.name

    async def on_thread(self, do: Callable[..., T], *args: Any) -> T:
        """Run `do` on the database thread, so that the event loop never waits for a disk.

        Raises ResourceShortage when the worker's own resources do not suffice for it.
        """
        bound = contextvars.copy_context().run  # what is logged there names the service too
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, bound, do, *args)
        except ChoregraphieError:
            raise
        except Exception as error:
            if (short := shortage(error)) is not None:
                raise short from error
            raise

    async def retry_until_available(self, do: Callable[..., T], *args: Any) -> T:
        """The same, again and again while the database does not answer, or another worker was faster.

        Nothing is taken from the queue meanwhile beyond the prefetch, and nothing is set aside.
        """
        waited = False
        while True:
            try:
                answer = await self.on_thread(do, *args)
            except (DatabaseUnavailable, Conflict, ResourceShortage) as trouble:
                waited = True
                await self.wait_for_database(trouble)
            else:
                if waited:
                    self.goes_on(DATABASE)
                return answer

    @contextlib.contextmanager
    def left_over_if_cancelled(self, operation: Callable[[], object]) -> Iterator[None]:
        """Keep `operation` for the next session when this one ends before the block does.

        `operation` must be one that may be done again: its deliveries are redelivered, and its result is dropped.
        """
        try:
            yield
        except asyncio.CancelledError:
            self._left_over.append(operation)
            raise

    async def do_left_over(self) -> None:
        """Do what earlier sessions ended in the middle of, waiting until the database takes it.

        A database may answer and take a small commit, and yet not take the work: a full disk, a locked table. To
        receive the same deliveries and to lose them with the session would count against them each time.
        """
        while self._left_over:
            operation = self._left_over.pop(0)
            # A reaction that raises is dealt with when its message is delivered again.
            with self.left_over_if_cancelled(operation), contextlib.suppress(ReactionFailed):
                await self.retry_until_available(operation)

    async def until_able(self) -> None:
        """Wait until work can be done: there are resources to spare, the database takes a commit, calls can begin.

        A worker that receives before that gives back what it took with every session that it loses, and each time
        counts against those deliveries.
        """
        checks = {RESOURCES: self._check_resources, DATABASE: self._check_database, CALLS: self._check_calls}
        for stage, check in checks.items():
            while (short := await _shortage_in(check)) is not None:
                await self.wait_for_resources(stage, short)
        self.shortages.end_all(self.telemetry)

    async def _check_resources(self) -> None:
        self.check_resources()

    async def _check_database(self) -> None:
        await self.retry_until_available(self.store.check_writable)

    async def _check_calls(self) -> None:
        if self.store.service.check is not None:
            await self.store.service.check(self.externals)

    async def wait_for_database(self, trouble: Exception) -> None:
        """Say that it does not answer, and leave it alone for a while."""
        if isinstance(trouble, ResourceShortage):
            await self.wait_for_resources(DATABASE, trouble)
            return
        self.telemetry.database_troubled()
        self.shortages.begin(DATABASE, self.telemetry)
        log.error("database.troubled", error=str(trouble), again_in_s=PAUSE_SECONDS)
        if self.settings.database_url.startswith("postgresql") and await self._login_refused(trouble):
            self.refused.note(DatabaseRefused(f"SAGA_DATABASE_URL: {trouble}"))
        await asyncio.sleep(PAUSE_SECONDS)

    async def _login_refused(self, trouble: Exception) -> bool:
        return await self.on_thread(self.store.refuses_login, trouble)

    async def wait_for_resources(self, stage: str, error: Exception) -> None:
        """Say once what is lacking, and wait a while. Raises `error` when it is not the worker's own."""
        short = shortage(error)
        if short is None:
            raise error
        self.shortages.begin(stage, self.telemetry, short)
        await asyncio.sleep(PAUSE_SECONDS)

    def goes_on(self, stage: str) -> None:
        """What `stage` waited for is there again."""
        self.shortages.end(stage, self.telemetry)


async def _shortage_in(check: Callable[[], Awaitable[None]]) -> Exception | None:
    try:
        await check()
    except Exception as error:
        if shortage(error) is None:
            raise
        return error
    return None
