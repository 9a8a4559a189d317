"""The live monitor: one task reads the stream into the store, another shows what the store holds."""

import asyncio
import datetime as dt
import functools
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from choregraphie import DatabaseRefused, Settings
from choregraphie.application import Application
from choregraphie.extras import needing
from choregraphie.signing import verifier_for
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.console.anomaly_loop import judge
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.broker_status import open_to_ask
from saga_monitor.stream.follower import OpenHistory
from saga_monitor.stream.maintenance import DATABASE_SECONDS, ReadingListener, keep_current, prune_periodically
from saga_monitor.text.plain import ChangeLines

if TYPE_CHECKING:
    from saga_monitor.console.app import ConsoleApp

LINES_SECONDS = 0.5


async def watch(
    application: Application,
    open_history: OpenHistory,
    settings: Settings,
    console: Console,
    caption_file: Path | None = None,
) -> None:
    """Show the instances until SIGINT or SIGTERM: the console on a terminal, lines on a pipe.

    The console shows the text of `caption_file` above the instances. Raises UserError when a person must change
    something.
    """
    store = Store(settings.monitor_database, application.saga_set, verifier_for(settings))
    queries = Queries(settings.monitor_database, settings.stuck_after, application.saga_set)
    thresholds = Thresholds.of(settings, application.command)
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            await on_screen(open_history, settings, thresholds, store, queries, console, caption_file)
        else:
            await _on_pipe(open_history, store, queries, thresholds, console)
    finally:
        queries.close()
        store.close()


async def on_screen(
    open_history: OpenHistory,
    settings: Settings,
    thresholds: Thresholds,
    store: Store,
    queries: Queries,
    console: Console,
    caption_file: Path | None,
) -> None:
    """Run the console; its last totals stay on the terminal. It declares nothing at the broker."""
    with needing("monitor"):  # here: Textual is slow to import, and other verbs do not need it
        from saga_monitor.console.app import ConsoleApp
        from saga_monitor.console.rendering import farewell
        from saga_monitor.console.snapshot import SnapshotReader

    status, tasks = ConsoleStatus(), list[asyncio.Future[None]]()
    asking = functools.partial(open_to_ask, settings)

    def start() -> None:
        reading = keep_current(open_history, store, status)
        judging = judge(asking, settings, thresholds, queries.sagas, status)
        for task in (reading, judging, prune_periodically(store, thresholds)):
            tasks.append(asyncio.ensure_future(task))
            tasks[-1].add_done_callback(lambda _: app.exit())

    app = ConsoleApp(SnapshotReader(queries), status, start, lambda: _caption_in(caption_file), thresholds.command)
    await _run(app, tasks)
    for line in farewell(queries.totals(dt.datetime.now(dt.UTC)), queries.sagas.noun[1], console.width):
        console.print(line)


async def _run(app: "ConsoleApp", tasks: Sequence[asyncio.Future[None]]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, app.exit)
    try:
        await app.run_async()
        _raise_failures(tasks)
        app.raise_error()
    finally:
        await _stop(tasks)


def _caption_in(caption_file: Path | None) -> str:
    """The caption as it is now; empty when there is no such file or it cannot be read."""
    if caption_file is None:
        return ""
    try:
        return caption_file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


async def _on_pipe(
    open_history: OpenHistory, store: Store, queries: Queries, thresholds: Thresholds, console: Console
) -> None:
    lines = ChangeLines(queries, console.file)

    async def show() -> None:
        while True:
            try:
                # Reads the file: another monitor may be the one that writes it.
                lines.show_news(dt.datetime.now(dt.UTC), thresholds.stuck_after)
                await asyncio.sleep(LINES_SECONDS)
            except DatabaseRefused as error:
                lines.link("database trouble", str(error))
                await asyncio.sleep(DATABASE_SECONDS)

    await _until_stopped(open_history, store, lines, show, thresholds)


async def _until_stopped(
    open_history: OpenHistory,
    store: Store,
    listener: ReadingListener,
    show: Callable[[], Awaitable[None]],
    thresholds: Thresholds,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    prune = prune_periodically(store, thresholds)
    tasks = [
        asyncio.ensure_future(w) for w in (keep_current(open_history, store, listener), show(), prune, stop.wait())
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        _raise_failures(tasks)
    finally:
        await _stop(tasks)


def _raise_failures(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


async def _stop(tasks: Sequence[asyncio.Future[Any]]) -> None:
    pending = set(tasks)
    while pending:
        # Repeated: a library may swallow a cancellation that was meant for the task.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)
