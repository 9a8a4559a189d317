"""The context of a worker, shared by its sessions: its database and thread, its externals, its waits for them."""

import asyncio
import contextlib
import contextvars
import datetime as dt
import random
import time
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
from choregraphie.pipeline.breaker import Breaker
from choregraphie.pipeline.decoder import Decoder
from choregraphie.process.attribution import shortage
from choregraphie.retrying import RefusedLogin
from choregraphie.settings import Settings
from choregraphie.storage.database import Conflict
from choregraphie.storage.store import Store
from choregraphie.telemetry.hooks import SILENT, UNTRACED, Telemetry, Tracing

log = structlog.get_logger()

PAUSE_SECONDS = 1.0
# The stages in which a worker waits for its own resources.
RESOURCES, DATABASE, CALLS, INTAKE, SESSION = "resources", "database", "calls", "intake", "session"

T = TypeVar("T")


class Shortages:
    """The stages of one service that wait for a resource of the worker. While there is one, it is not ready."""

    def __init__(self) -> None:
        self._lacking: dict[str, str] = {}

    def begin(self, stage: str, telemetry: Telemetry, shortage: ResourceShortage | None = None) -> None:
        """`stage` waits. A `shortage` is logged once, and again when it changes."""
        telemetry.blocked(stage)
        lacking = shortage.lacking if shortage else ""
        if lacking and self._lacking.get(stage) != lacking:
            log.error("worker.short_of_resources", stage=stage, lacking=lacking, error=str(shortage))
        self._lacking[stage] = lacking

    def end(self, stage: str, telemetry: Telemetry) -> None:
        """`stage` continues."""
        telemetry.unblocked(stage)
        if lacked := self._lacking.pop(stage, ""):
            log.info("worker.resources_recovered", stage=stage, lacked=lacked)

    def end_all(self, telemetry: Telemetry) -> None:
        """Every stage continues."""
        for stage in [*self._lacking]:
            self.end(stage, telemetry)


@dataclass(frozen=True)
class WorkerContext:
    """`thread` runs everything that uses the database. `externals` is what the service's calls connect to. `now`
    is the clock of its deadlines. `rng` spreads retries.

    `check_resources` raises ResourceShortage when this process lacks a resource that work needs. `decoder` is for
    all sessions; without one, each makes its own. `breakers`: by the outside system that each is for.
    """

    store: Store
    settings: Settings
    thread: Executor
    externals: Any
    now: Callable[[], dt.datetime]
    rng: random.Random = field(default_factory=random.Random)
    telemetry: Telemetry = SILENT
    tracing: Tracing = UNTRACED
    refused: RefusedLogin = field(default_factory=RefusedLogin)
    check_resources: Callable[[], None] = lambda: None
    shortages: Shortages = field(default_factory=Shortages)
    decoder: Decoder | None = None
    breakers: dict[str, Breaker] = field(default_factory=dict)
    _left_over: list[Callable[[], object]] = field(default_factory=list)

    @property
    def service(self) -> str:
        return self.store.service.name

    async def on_thread(self, do: Callable[..., T], *args: Any) -> T:
        """Run `do` on the database thread, so that the event loop never waits for a disk.

        Raises what `do` raises, as a ResourceShortage when the worker itself lacks resources.
        """
        run_in_context = contextvars.copy_context().run  # log lines of that thread name the service too
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, run_in_context, do, *args)
        except ChoregraphieError:
            raise
        except Exception as error:
            if (short := shortage(error)) is not None:
                raise short from error
            raise

    async def retry_until_available(self, do: Callable[..., T], *args: Any) -> T:
        """`on_thread`, repeated while the database does not answer or another worker's transaction was faster.

        Meanwhile nothing beyond the prefetch is received, and nothing is set aside.
        """
        waited = False
        while True:
            try:
                answer = await self.on_thread(do, *args)
            except (DatabaseUnavailable, Conflict, ResourceShortage) as error:
                waited = True
                await self.wait_for_database(error)
            else:
                if waited:
                    self.end_wait(DATABASE)
                return answer

    @contextlib.contextmanager
    def left_over_if_cancelled(self, operation: Callable[[], object]) -> Iterator[None]:
        """Keep `operation` for the next session when this session ends before the block does.

        `operation` must be safe to repeat: its deliveries are redelivered, and its result is dropped.
        """
        try:
            yield
        except asyncio.CancelledError:
            self._left_over.append(operation)
            raise

    async def finish_left_over(self) -> None:
        """Finish the operations that earlier sessions left over; wait until the database takes them.

        A database may take a small commit and refuse the actual work: its disk is full, a table is locked. Each
        session that received the same deliveries and was lost would count towards their delivery limit.
        """
        while self._left_over:
            operation = self._left_over.pop(0)
            # A reaction that raises is handled when its message is delivered again.
            with self.left_over_if_cancelled(operation), contextlib.suppress(ReactionFailed):
                await self.retry_until_available(operation)

    async def wait_until_able(self) -> None:
        """Wait until the process has resources to spare, the database takes a commit, and calls can be made.

        A worker that consumed before that would hold its deliveries, and each session that it lost meanwhile would
        count towards their delivery limit.
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

    async def wait_for_database(self, error: Exception) -> None:
        """Log that the database does not answer, and pause.

        Raises UserError when its login was refused for long.
        """
        if isinstance(error, ResourceShortage):
            await self.wait_for_resources(DATABASE, error)
            return
        self.telemetry.database_unavailable()
        self.shortages.begin(DATABASE, self.telemetry)
        log.error("database.unavailable", error=str(error), again_in_s=PAUSE_SECONDS)
        asked_at = time.monotonic()
        if self.settings.database_url.startswith("postgresql") and await self._login_refused(error):
            self.refused.note(DatabaseRefused(f"SAGA_DATABASE_URL: {error}"), asked_at)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _login_refused(self, error: Exception) -> bool:
        return await self.on_thread(self.store.refuses_login, error)

    async def wait_for_resources(self, stage: str, error: Exception) -> None:
        """Log once what is lacking, and pause. Raises `error` when it is no shortage of the worker."""
        short = shortage(error)
        if short is None:
            raise error
        self.shortages.begin(stage, self.telemetry, short)
        await asyncio.sleep(PAUSE_SECONDS)

    def end_wait(self, stage: str) -> None:
        """`stage` has what it waited for, and continues."""
        self.shortages.end(stage, self.telemetry)


async def _shortage_in(check: Callable[[], Awaitable[None]]) -> Exception | None:
    try:
        await check()
    except Exception as error:
        if shortage(error) is None:
            raise
        return error
    return None
