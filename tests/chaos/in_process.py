"""The four services with their real pipelines and real databases, one at a time, over the model of the broker.

Nothing happens at the same time, so a scenario chooses what overtakes what, and where a worker dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from choregraphie.application import declared_topology
from choregraphie.failpoints import Place, watched
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.pipeline import Pipeline
from choregraphie.storage.database import open_database
from choregraphie.storage.store import Store, StoreLimits
from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.databases import Books, read_books
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import History, Published
from scripts.nemesis.mailbox import read_mails
from scripts.nemesis.orders import CATALOGUE, EXCHANGE
from services.application import SERVICES
from tests.chaos.model import Held, ModelBroker, ModelDoor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A scenario that has not come to rest by then never will.
LONGEST_SECONDS = 20
ROUNDS = 60


class PowerCut(BaseException):
    """The worker is gone between two statements; nothing may catch it."""


class World:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gateway = Gateway()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "catalogue.toml").write_text(CATALOGUE)
        self.settings = Settings(
            database_url=f"sqlite:///{folder}/{{service}}.sqlite3",
            catalogue=folder / "catalogue.toml",
            carrier=f"maildir:{folder}/courrier",
            gateway=self._gateway.url,
            retry_delays=(0.2, 0.5),
            call_timeout=2,
        )
        self.broker = ModelBroker(declared_topology(CHOREOGRAPHY, self.settings))
        self.published: list[Published] = []
        self._thread = ThreadPoolExecutor(1)

    def say(self, key: str, body: bytes, refused: Mapping[str, str] | None = None) -> None:
        """A client says something."""
        self.published.append(Published(EXCHANGE, key, body, refused=refused or {}))
        self.broker.publish(Held(EXCHANGE, key, body))

    def work(
        self, service: str, dies_at: Place | None = None, idle_seconds: float | None = None, **settings: Any
    ) -> None:
        """Run a worker of `service` until its inbox is empty, or until it dies at that place.

        With `idle_seconds` it is left with nothing to do for that long, and then dies.
        """
        chosen = self.settings.model_copy(update=settings)
        with _deadly(dies_at):
            asyncio.run(self._work(service, chosen, idle_seconds))

    def settle(self) -> None:
        """Everybody works, and delays pass, until nothing is left to do."""
        for _ in range(ROUNDS):
            for service in SERVICES:
                self.work(service)
            waiting = [name for name, queue in self.broker.queues.items() if queue and name.endswith(".inbox")]
            if not self.broker.expire() and not waiting:
                return
        raise TimeoutError(f"not at rest after {ROUNDS} rounds")

    def overtake(self, service: str) -> None:
        """What is first in the service's inbox is overtaken by all the others."""
        self.broker.queues[f"{service}.inbox"].rotate(-1)

    def record(self, services: Sequence[str] = tuple(SERVICES)) -> tuple[History, Books]:
        past = History(
            published=tuple(self.published),
            spoken=tuple(self.broker.spoken),
            letters=self.broker.letters(),
            queues=self.broker.states(),
            mails=read_mails(self._folder / "courrier"),
            charges=self._gateway.charges(),
        )
        return past, read_books(self.settings.database_url, services)

    def close(self) -> None:
        self._thread.shutdown()
        self._gateway.close()

    async def _work(self, name: str, settings: Settings, idle_seconds: float | None) -> None:
        service = SERVICES[name]
        database = open_database(service, settings)
        books = Store(service, database, StoreLimits.of(settings), lambda: dt.datetime.now(dt.UTC))
        externals: Any = service.externals(settings) if service.externals else contextlib.nullcontext()
        session = ModelDoor(self.broker, name)
        try:
            async with externals as opened, asyncio.timeout(LONGEST_SECONDS):
                context = WorkerContext(books, settings, self._thread, opened, lambda: dt.datetime.now(dt.UTC))
                await _session(context, session, idle_seconds)
        except BaseExceptionGroup as group:
            if group.subgroup(PowerCut) is None:
                raise
        finally:
            session.lose()
            database.close()


async def _session(context: WorkerContext, session: ModelDoor, idle_seconds: float | None) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(Pipeline(context, session, stopping).run())
    idle = 0
    # Idle for a moment, not for an instant: an acknowledged delivery may still be on its way (a mutant's doing).
    while idle < 10 and not running.done():
        await asyncio.sleep(0.005)
        idle = idle + 1 if session.idle else 0
    if idle_seconds is None:
        stopping.set()
    else:
        await asyncio.sleep(idle_seconds)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _deadly(place: Place | None) -> contextlib.AbstractContextManager[None]:
    def passing(at: Place) -> None:
        if at is place:
            raise PowerCut(at)

    return watched(passing)
