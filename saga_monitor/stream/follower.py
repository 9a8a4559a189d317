"""Follows the stream into the store, from where it stopped or from the start of a new stream."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from choregraphie import BrokerRefused, BrokerUnavailable, HistoryMissing, LoginRefused
from choregraphie.messaging import History, HistoryEntry
from choregraphie.retrying import LONGEST_PAUSE_SECONDS, RefusedLogin, backoff
from choregraphie.saga.envelope import Instance
from saga_monitor.projection.file_identity import FileChanged
from saga_monitor.projection.gaps import Gap, describe_gap
from saga_monitor.projection.store import Store
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.records.parser import IgnoredEntry, Record
from saga_monitor.stream.resuming import BUSY, Reading, StreamReplacedError, mark_of, start_reading, unread_entries

# While the reading is behind, full batches are written together. When many instances run at once, the events of
# each come in several batches, and each time it is evaluated and written: docs/performance.md has the figures.
FULL = 400
GROUP = 2000
GROUP_SECONDS = 0.25

OpenHistory = Callable[[], AbstractAsyncContextManager[History]]


class Listener(Protocol):
    """Receives what the reading reports. `each_change`: an instance is reported once per entry, not per batch."""

    each_change: bool

    def link(self, word: str, detail: str = "") -> None:
        """The state of the connection to the broker changed: `live`, `reading`, …, with an explanation."""

    def notice(self, text: str) -> None:
        """A notice for a person, reported once."""

    def touched(self, instances: Sequence[Instance]) -> None:
        """The change of these instances is stored."""


async def follow(opening: OpenHistory, store: Store, listener: Listener) -> None:
    """Follows the stream into `store` for ever, through every loss of the broker.

    Waits while another process writes the file, and while no worker has created the stream. Raises BrokerRefused
    when the broker refuses the first connection, DatabaseRefused when the file cannot be written.
    """
    failures, ever_read, refused = 0, False, RefusedLogin()
    while True:
        await _acquire(store, listener)
        try:
            async with opening() as history:
                listener.link("reading")
                async with aclosing(read(history, store, listener)) as batches:
                    async for touched in batches:
                        failures, ever_read = 0, True
                        listener.link("live" if touched is None or 0 < len(touched) < BUSY else "reading")
        except FileChanged as error:
            listener.link("database trouble", str(error))
            meant = await run_in_thread(store.renew, error.change)
            listener.notice(f"{error}: {meant}")
        except (BrokerUnavailable, BrokerRefused) as error:
            if isinstance(error, BrokerRefused) and not ever_read:
                raise
            failures += 1
            seconds = _pause_after(error, failures, refused)
            word = "no history" if isinstance(error, HistoryMissing) else "broker away"
            listener.link(word, f"{error}; next try in {seconds:.0f} s")
            await asyncio.sleep(seconds)


def _pause_after(error: Exception, failures: int, refused: RefusedLogin) -> float:
    """Seconds until the next try. Raises LoginRefused when the login has been refused for too long."""
    if isinstance(error, LoginRefused):
        refused.note(error)
        return min(backoff(failures), LONGEST_PAUSE_SECONDS)
    return backoff(failures)


async def read(history: History, store: Store, listener: Listener) -> AsyncGenerator[list[Instance] | None]:
    """Reads into `store` for ever. Yields the instances of each batch, or None when nothing more is there yet.

    Raises BrokerUnavailable when the session is lost.
    """
    while True:
        try:
            reading = await start_reading(history, store)
            async with aclosing(in_groups(unread_entries(reading), end=reading.end)) as batches:
                async for batch in batches:
                    yield await _read_batch(reading, batch, listener)
        except StreamReplacedError as error:
            await run_in_thread(store.start_new_stream, _now())
            listener.notice(f"{error}: starting again from its first entry; everything known before is kept")


async def in_groups(
    batches: AsyncGenerator[list[HistoryEntry]], seconds: float = GROUP_SECONDS, *, end: int = -1
) -> AsyncGenerator[list[HistoryEntry]]:
    """The same entries in fewer batches while full ones follow each other, which come no later than `seconds`.

    After the entry `end` none may follow, so nothing is waited for.
    """
    group, since = list[HistoryEntry](), 0.0
    async with aclosing(batches):
        async for batch in batches:
            since = since if group else time.monotonic()
            group += batch
            more = len(batch) >= FULL and len(group) < GROUP and not batch[0].offset <= end <= batch[-1].offset
            if not more or time.monotonic() - since >= seconds:
                yield group
                group = []


async def _read_batch(reading: Reading, batch: list[HistoryEntry], listener: Listener) -> list[Instance] | None:
    clock, now = reading.clock, _now()
    gap = reading.gap_before(batch, now) if batch else None
    caught_up_at = await reading.note_batch(batch, now)
    if not batch:
        return await _pause(reading, caught_up_at)
    clock.now = now
    entries = [
        (entry, reading.parser.parse_next(with_file_offsets, clock))
        for entry, with_file_offsets in zip(batch, reading.with_file_offsets(batch), strict=True)
    ]
    touched: list[Instance] = []
    runs = list(split_runs(entries)) if listener.each_change else [entries]
    for run in runs:
        # The reading may end after any run, and has caught up with the last one only.
        ids = await run_in_thread(_apply, reading, run, caught_up_at if run is runs[-1] else None, gap)
        if gap is not None:
            listener.notice(describe_gap(gap))
        gap = None
        listener.touched(ids)
        touched += ids
    clock.since = caught_up_at or clock.since
    return touched


async def _pause(reading: Reading, caught_up_at: dt.datetime | None) -> list[Instance] | None:
    if caught_up_at is None:
        return []
    await run_in_thread(reading.store.caught_up, caught_up_at)
    reading.clock.since = caught_up_at
    return None


def _apply(
    reading: Reading,
    run: Sequence[tuple[HistoryEntry, Record]],
    caught_up_at: dt.datetime | None,
    gap: Gap | None,
) -> list[Instance]:
    records = [record for _, record in run]
    first, last = mark_of(run[0][0]), mark_of(run[-1][0])
    return reading.store.apply(records, first, last, caught_up_at, shift=reading.shift, gap=gap)


def split_runs(entries: Iterable[tuple[HistoryEntry, Record]]) -> Iterator[list[tuple[HistoryEntry, Record]]]:
    """Splits `entries` into runs that contain each instance at most once."""
    run: list[tuple[HistoryEntry, Record]] = []
    seen: set[tuple[str | None, str | None] | None] = set()
    for entry, record in entries:
        about = None if isinstance(record, IgnoredEntry) else (record.saga, record.key)
        if about in seen:
            yield run
            run, seen = [], set()
        run.append((entry, record))
        seen |= {about} - {None, (None, None)}
    if run:
        yield run


async def _acquire(store: Store, listener: Listener) -> None:
    while not store.acquire():
        listener.link("following", "another monitor writes this file; this one only displays it")
        await asyncio.sleep(1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
