"""What `serve` does: follows the history and serves it to browsers and programs. Needs the extra `web`."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

from starlette.types import ASGIApp

from choregraphie import BadSetting, Settings
from choregraphie.application import Application
from choregraphie.process.connections import listen
from choregraphie.signing import verifier_for
from saga_monitor.alerting.watcher import open_watcher
from saga_monitor.diagnosis.anomalies import Thresholds
from saga_monitor.metrics.exposition import MetricsPage, registry
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.stream.follower import OpenHistory
from saga_monitor.stream.maintenance import keep_current, prune_periodically
from saga_monitor.web.access import Access
from saga_monitor.web.app import web_app
from saga_monitor.web.context import WebContext
from saga_monitor.web.live_updates import MOST_LISTENERS, LiveUpdates
from saga_monitor.web.raw_events import RawEventReader
from saga_monitor.web.reader import Readers
from saga_monitor.web.server import Server, most_connections


def newer_token(settings: Settings) -> str:
    """The token in its file if it is a new one, else an empty string."""
    found = settings.read_again("monitor_token")
    return str(settings.current("monitor_token")) if found else ""


async def serve(application: Application, open_history: OpenHistory, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises UserError when a person must change something."""
    access = Access.at(
        settings.monitor_host, settings.monitor_token, settings.monitor_names, lambda: newer_token(settings)
    )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(open_listener(settings.monitor_host, settings.monitor_port))
        place, sagas = (settings.monitor_database, settings.stuck_after), application.saga_set
        store = stack.enter_context(
            contextlib.closing(Store(settings.monitor_database, sagas, verifier_for(settings)))
        )
        readers = stack.enter_context(contextlib.closing(Readers(*place, sagas)))
        queries = stack.enter_context(contextlib.closing(Queries(*place, sagas)))
        # Each page with live updates holds a connection; half of the connections stay free for other requests.
        updates = LiveUpdates(readers, min(MOST_LISTENERS, most_connections() // 2))
        async with open_watcher(application, settings) as watcher:
            thresholds = Thresholds.of(settings, application.command)
            context = WebContext(sagas, readers, updates, RawEventReader(open_history), watcher, thresholds)
            app = web_app(context, access, MetricsPage(registry(queries, watcher)), most_connections() // 4)
            print(f"saga_monitor: {page_url(listener)}", file=sys.stderr, flush=True)
            async with stop_on_signals() as stop:
                jobs = keep_current(open_history, store, updates), prune_periodically(store, thresholds)
                await run(app, listener, updates, stop, *jobs)


async def run(
    app: ASGIApp,
    listener: socket.socket,
    updates: LiveUpdates,
    stop: asyncio.Event,
    *jobs: Coroutine[Any, Any, None],
) -> None:
    """Answer requests on `listener` beside `jobs`, until `stop` is set or one of them fails."""
    server = Server(app)
    server_task = asyncio.ensure_future(server.serve([listener]))
    others = [asyncio.ensure_future(work) for work in (*jobs, updates.poll_file(), stop.wait())]
    try:
        done, _ = await asyncio.wait([server_task, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in others:
            task.cancel()
        # Else pages with live updates would keep the server open.
        updates.stop()
        server.should_exit = True
        await asyncio.gather(server_task, *others, return_exceptions=True)


@contextlib.contextmanager
def open_listener(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket at that address. Raises BadSetting when there is none to be had."""
    try:
        listener = listen(host, port)
    except (socket.gaierror, UnicodeError) as error:
        detail = getattr(error, "strerror", None) or error
        raise BadSetting(f"{host} is not an address to listen at ({detail})") from None
    except OSError as error:
        raise BadSetting(
            f"cannot listen at {host} port {port}: {error.strerror}; --port chooses another"
        ) from None
    with listener:
        yield listener


def page_url(listener: socket.socket) -> str:
    """The URL of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


@contextlib.asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
