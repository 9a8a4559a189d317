"""A monitor that serves a history in memory: the real reader, file, pages and server, without a broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from choregraphie.messaging import QueueCount
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import View
from saga_monitor.cli.serve import open_listener, page_url, run
from saga_monitor.diagnosis.anomalies import Thresholds, anomalies_of
from saga_monitor.diagnosis.grouping import within_usual_times
from saga_monitor.metrics.exposition import MetricsPage, registry
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.broker_status import BrokerStatus
from saga_monitor.stream.maintenance import keep_current
from saga_monitor.web.access import Access
from saga_monitor.web.app import web_app
from saga_monitor.web.context import WebContext
from saga_monitor.web.live_updates import LiveUpdates
from saga_monitor.web.raw_events import RawEventReader
from saga_monitor.web.reader import Readers
from tests.saga_monitor.conftest import Monitor
from tests.support.http_get import get
from tests.support.order_saga import COMMAND, SAGAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp

    from choregraphie.saga.saga_set import SagaSet
    from tests.saga_monitor.memory_stream import Stream

STUCK_AFTER = 60.0
TERMS = Thresholds(STUCK_AFTER, tries=6, command=COMMAND)


class ViewSource:
    """A watcher that judges when it is told to."""

    def __init__(self, readers: Readers) -> None:
        self.view = View()
        self.dispatcher = Dispatcher([])
        self._readers = readers

    def look(self, queues: Mapping[str, QueueCount] | None = None) -> None:
        now = dt.datetime.now(dt.UTC)
        status = None if queues is None else BrokerStatus(now, queues)
        with self._readers.reader() as reader:
            found = anomalies_of(reader, status, now, TERMS)
            in_time = within_usual_times(reader, found, now, STUCK_AFTER)
            self.view = View(now, status, anomalies=found, known=queues is not None, in_time=in_time)


class Served:
    """A running server. `url` ends with a slash. More events can be added to `stream` at any time."""

    def __init__(
        self, url: str, stream: Stream, readers: Readers, watch: ViewSource, updates: LiveUpdates
    ) -> None:
        self.url, self.stream, self.readers, self.watch, self.updates = url, stream, readers, watch, updates

    def at(self, path: str) -> str:
        return self.url.rstrip("/") + path

    def read_up(self) -> None:
        """Wait until the whole stream is in the file and the monitor is ready."""
        wanted = self.stream.next - 1

        def is_read() -> bool:
            with self.readers.reader() as reader:
                ready = get(self.at("/readyz"), headers={"host": "localhost"}).status_code == 200
                return reader.last_offset() >= wanted and ready

        self.until(is_read)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)


def read_all(path: Path, stream: Stream) -> None:
    """Read the stream into the file, on a thread, because a browser's event loop may occupy this one."""
    monitor = Monitor(path)
    assert monitor.store.acquire()
    thread = threading.Thread(target=lambda: asyncio.run(monitor.read(stream)))
    thread.start()
    thread.join()
    monitor.close()


@contextmanager
def served(
    path: Path,
    stream: Stream,
    access: Access | None = None,
    metrics: ASGIApp | None = None,
    sagas: SagaSet = SAGAS,
) -> Iterator[Served]:
    """Serve on a free local port, on a thread, during the block."""
    readers = Readers(path, STUCK_AFTER, sagas)
    store = Store(path, sagas)
    queries = Queries(path, STUCK_AFTER, sagas)
    watch, updates = ViewSource(readers), LiveUpdates(readers)
    with open_listener("127.0.0.1", 0) as listener:
        began, stop = threading.Event(), []

        async def main() -> None:
            told = asyncio.Event()
            stop.append((asyncio.get_running_loop(), told))
            site = WebContext(sagas, readers, updates, RawEventReader(stream.opening()), watch, TERMS)
            app = web_app(site, access or Access(), metrics or MetricsPage(registry(queries, cast("Any", watch))))
            began.set()
            await run(app, listener, updates, told, keep_current(stream.opening(), store, updates))

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        assert began.wait(60)
        try:
            yield Served(page_url(listener), stream, readers, watch, updates)
        finally:
            loop, told = stop[0]
            loop.call_soon_threadsafe(told.set)
            thread.join(60)
            readers.close()
            queries.close()
            store.close()
            assert not thread.is_alive()
