"""`serve`: follows the history and serves it to browsers and programs."""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

from starlette.types import ASGIApp

from choregraphie import BadSetting, Settings
from choregraphie.process.connections import listen
from saga_monitor.alerting.watcher import open_watcher
from saga_monitor.diagnosis.anomalies import Thresholds
from saga_monitor.metrics import MetricsPage, registry
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.stream.follower import OpenHistory
from saga_monitor.stream.maintenance import keep_current, prune_periodically
from saga_monitor.web.access import Access
from saga_monitor.web.app import application
from saga_monitor.web.context import WebContext
from saga_monitor.web.live_updates import MOST_LISTENERS, LiveUpdates
from saga_monitor.web.raw_events import RawEventReader
from saga_monitor.web.reader import Readers
from saga_monitor.web.server import Server, most_connections


def add(commands: Any) -> None:
    """Declare the verb `serve` and its arguments."""
    command = commands.add_parser("serve", help="the web page, the JSON API and /metrics")
    command.add_argument("--host", metavar="ADDRESS", help="the address to listen at; a public one needs a token")
    command.add_argument("--port", type=_port, metavar="N", help="the port, 8787 by default; 0 takes a free one")
    command.add_argument("--token", help="the token to ask for; better in SAGA_MONITOR_TOKEN_FILE")


def with_arguments(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """The settings, with the arguments of the command line in place of theirs."""
    arguments_given = {f"monitor_{name}": getattr(arguments, name) for name in ("host", "port", "token")}
    given = {name: value for name, value in arguments_given.items() if value is not None}
    return settings.model_copy(update=given).without_files(given)


def newer_token(settings: Settings) -> str:
    """The token in its file if it is a new one, else an empty string."""
    found = settings.read_again("monitor_token")
    return str(settings.current("monitor_token")) if found else ""


async def serve(open_history: OpenHistory, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises UserError when a person must change something."""
    access = Access.at(
        settings.monitor_host, settings.monitor_token, settings.monitor_names, lambda: newer_token(settings)
    )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(open_listener(settings.monitor_host, settings.monitor_port))
        store = stack.enter_context(contextlib.closing(Store(settings.monitor_database)))
        readers = stack.enter_context(contextlib.closing(Readers(settings.monitor_database, settings.stuck_after)))
        queries = stack.enter_context(contextlib.closing(Queries(settings.monitor_database, settings.stuck_after)))
        # Each page with live updates holds a connection; half of the connections stay free for other requests.
        updates = LiveUpdates(readers, min(MOST_LISTENERS, most_connections() // 2))
        async with open_watcher(settings) as watcher:
            terms = Thresholds.of(settings)
            context = WebContext(readers, updates, RawEventReader(open_history), watcher, terms)
            app = application(context, access, MetricsPage(registry(queries, watcher)), most_connections() // 4)
            print(f"saga_monitor: {page_url(listener)}", file=sys.stderr, flush=True)
            async with stop_on_signals() as stop:
                jobs = keep_current(open_history, store, updates), prune_periodically(store, terms)
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


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 65_535):
        raise argparse.ArgumentTypeError("expected a port, from 0 to 65535")
    return int(text)
