"""The live monitor: one task follows the stream into the store, another shows what is there."""

import asyncio
import contextlib
import datetime as dt
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live

from saga_monitor.console import Screen
from saga_monitor.history import Listener, Opening, follow
from saga_monitor.lines import Lines
from saga_monitor.queries import Queries
from saga_monitor.store import Store

PICTURE_SECONDS = 0.25
LINES_SECONDS = 0.5


async def watch(opening: Opening, database: Path, stuck_after: float, console: Console) -> None:
    """Show the orders until SIGINT or SIGTERM: a screen on a terminal, lines on a pipe.

    Raises UserError when a person must change something.
    """
    store = Store(database)
    queries = Queries(database, stuck_after)
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            await _on_screen(opening, store, queries, console)
        else:
            await _on_pipe(opening, store, queries, stuck_after, console)
    finally:
        queries.close()
        store.close()


async def _on_screen(opening: Opening, store: Store, queries: Queries, console: Console) -> None:
    screen = Screen(queries)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:

        async def show() -> None:
            while True:
                now = dt.datetime.now(dt.UTC)
                live.update(screen.picture(console.width, console.height, now), refresh=True)
                await asyncio.sleep(PICTURE_SECONDS)

        await _until_told(opening, store, screen, show)


async def _on_pipe(opening: Opening, store: Store, queries: Queries, stuck_after: float, console: Console) -> None:
    lines = Lines(queries, console.file)

    async def show() -> None:
        while True:
            now = dt.datetime.now(dt.UTC)
            # Another monitor may be the one that writes.
            lines.show_changes(now)
            lines.show_stuck(now, stuck_after)
            await asyncio.sleep(LINES_SECONDS)

    await _until_told(opening, store, lines, show)


async def _until_told(
    opening: Opening, store: Store, listener: Listener, show: Callable[[], Awaitable[None]]
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    tasks = [asyncio.ensure_future(work) for work in (follow(opening, store, listener), show(), told.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            await asyncio.gather(*tasks, return_exceptions=True)
