"""A pipeline that runs on a fake session, without a broker."""

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection

from choregraphie import Service, Settings
from choregraphie.pipeline.context import WorkerContext
from choregraphie.pipeline.pipeline import Pipeline
from choregraphie.saga.envelope import Envelope, Event, wrap
from choregraphie.storage import open_database, outbox
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.telemetry.hooks import UNTRACED
from tests.support.event_builders import initiee
from tests.support.fake_session import FakeSession
from tests.support.sample_service import SAMPLE_SERVICE

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def envelope(event: Event, id: str | None = None) -> Envelope[Event]:
    source = "/clients/test" if event.SAID_BY == "client" else f"/services/{event.SAID_BY}"
    return wrap(event, id=id or f"e-{event.TYPE}-{event.key}", source=source, time=NOON)


def order(commande_id: str = "C", client_id: str = "ANNE") -> Envelope[Event]:
    return envelope(initiee(commande_id, client_id=client_id, produit_id="A", quantite=1))


@contextlib.contextmanager
def worker_context(service: Service, settings: Settings) -> Iterator[WorkerContext]:
    """The context of a worker of `service`."""
    database, thread = open_database(service, settings), ThreadPoolExecutor(1)
    try:
        yield WorkerContext(
            Store(service, database, StoreLimits.of(settings), lambda: NOON), settings, thread, None, lambda: NOON
        )
    finally:
        thread.shutdown()
        database.close()


class RunningPipeline:
    """A pipeline that runs on a fake session."""

    def __init__(self, service: Service, settings: Settings, externals: Any = None, **more: Any) -> None:
        """`more` goes to the WorkerContext."""
        self.database = open_database(service, settings)
        self._thread = ThreadPoolExecutor(1)
        tracing = more.get("tracing", UNTRACED)
        store = Store(service, self.database, StoreLimits.of(settings), lambda: NOON, tracing.traced)
        self.context = WorkerContext(store, settings, self._thread, externals, lambda: NOON, **more)
        self.stopping = asyncio.Event()
        self.session = FakeSession()
        self.running = asyncio.create_task(Pipeline(self.context, self.session, self.stopping).run())

    async def stop(self, within_seconds: float = 60) -> None:
        self.stopping.set()
        async with asyncio.timeout(within_seconds):
            await self.running

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self._thread.shutdown()
        self.database.close()

    @contextlib.contextmanager
    def database_busy(self) -> Iterator[None]:
        """Keep the database thread busy while the block lasts."""
        done = threading.Event()
        self._thread.submit(done.wait)
        try:
            yield
        finally:
            done.set()

    def reading_beside(self) -> contextlib.AbstractContextManager[Connection]:
        """A second connection to the database, for reading beside the worker."""
        return open_for_reading(self.context.store.service, self.context.settings)

    def pending(self) -> list[str]:
        with self.reading_beside() as connection:
            return [outbox_event.key for outbox_event in outbox.pending_events(connection, 1000)[0]]


@contextlib.asynccontextmanager
async def running_pipeline(
    settings: Settings, service: Service = SAMPLE_SERVICE, externals: Any = None
) -> AsyncIterator[RunningPipeline]:
    begun = RunningPipeline(service, settings, externals)
    try:
        yield begun
    finally:
        await begun.close()
