"""What a worker works with, session after session: the books, the thread they are kept on, the outside."""

import asyncio
import contextvars
import datetime as dt
import random
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from services.runtime.database import Conflict
from services.runtime.errors import DatabaseTrouble
from services.runtime.ledger import Ledger
from services.runtime.settings import Settings
from services.runtime.telemetry import SILENT, Telemetry

log = structlog.get_logger()

PAUSE_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """`outside` is what the service's calls speak to; `now` the clock of its deadlines; `dice` spreads retries.

    `telemetry` is told how the work goes.
    """

    ledger: Ledger
    settings: Settings
    thread: Executor
    outside: Any
    now: Callable[[], dt.datetime]
    dice: random.Random = field(default_factory=random.Random)
    telemetry: Telemetry = SILENT

    @property
    def service(self) -> str:
        return self.ledger.service.name

    async def on_thread(self, do: Callable[..., T], *args: Any) -> T:
        """Run `do` on the database thread, so that the event loop never waits for a disk."""
        bound = contextvars.copy_context().run  # what is logged there names the service too
        return await asyncio.get_running_loop().run_in_executor(self.thread, bound, do, *args)

    async def patiently(self, do: Callable[..., T], *args: Any) -> T:
        """The same, again and again while the database does not answer, or another worker was faster.

        Nothing is taken from the queue meanwhile beyond the prefetch, and nothing is set aside.
        """
        while True:
            try:
                return await self.on_thread(do, *args)
            except (DatabaseTrouble, Conflict) as trouble:
                await self.wait_for_the_database(trouble)

    async def wait_for_the_database(self, trouble: Exception) -> None:
        """Say that it does not answer, and leave it alone for a while."""
        self.telemetry.database_troubled()
        log.error("database.troubled", error=str(trouble), again_in_s=PAUSE_SECONDS)
        await asyncio.sleep(PAUSE_SECONDS)
