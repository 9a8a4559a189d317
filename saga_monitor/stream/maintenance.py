"""Keeps the projection current and small, also while its file cannot be written."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Protocol

from choregraphie import DatabaseRefused
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.projection.retention import forget_ended, forget_never_begun
from saga_monitor.projection.store import Store
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.stream.follower import Listener, OpenHistory, follow

DATABASE_SECONDS = 5.0
# Small transactions with pauses, so that a batch of the stream never waits for long.
_PAUSE_SECONDS = 0.05
_ROUND_SECONDS = 600.0
_END = object()


class ReadingListener(Listener, Protocol):
    """A listener that knows whether the reading has ever worked."""

    ever_read: bool


async def keep_current(opening: OpenHistory, store: Store, listener: ReadingListener) -> None:
    """Follows the history for ever. Raises a file error before the first read; reports and retries later ones."""
    while True:
        try:
            await follow(opening, store, listener)
        except DatabaseRefused as error:
            if not listener.ever_read:
                raise
            listener.link("database trouble", str(error))
            await asyncio.sleep(DATABASE_SECONDS)


async def prune_periodically(store: Store, thresholds: Thresholds) -> None:
    """Prunes now and every ten minutes, while this process is the file's writer.

    Tries again later when the file cannot be written.
    """
    while True:
        try:
            pages = _pages(store, thresholds, dt.datetime.now(dt.UTC)) if store.writes else iter(())
            more = True
            while more:
                more = await run_in_thread(next, pages, _END) is not _END
                await asyncio.sleep(_PAUSE_SECONDS if more else _ROUND_SECONDS)
        except DatabaseRefused:
            await asyncio.sleep(DATABASE_SECONDS)


def prune(store: Store, thresholds: Thresholds, now: dt.datetime) -> None:
    """Forgets instances that ended longer ago than `keep`, and keys that did not begin within `longest`."""
    for _ in _pages(store, thresholds, now):
        pass


def _pages(store: Store, thresholds: Thresholds, now: dt.datetime) -> Iterator[None]:
    """Prunes page by page, each in a transaction."""
    more = True
    while more:
        with store.transaction() as connection:
            more = forget_never_begun(connection, store.sagas, now - thresholds.longest)
        yield
    after: int | None = -1
    while after is not None:
        with store.transaction() as connection:
            after = forget_ended(connection, store.sagas, now - thresholds.keep, after)
        yield
