"""Follows the history stream into the store: from where it stopped, or from the start of another stream."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Literal, Protocol

from saga_monitor.reading.entries import IgnoredEntry, Record, read_entry
from saga_monitor.store import Mark, Position, Store
from services.runtime import BrokerRefused, BrokerTrouble, History, HistoryEntry, backoff

# An entry that was read before is delivered again at once; after this long, it is not there any more.
RECOGNITION_SECONDS = 5.0
# A live monitor with nothing to read notes it twice a second: beside an idle one this is worth waiting for.
WRITER_PAUSE_SECONDS = 1.0
WRITER_POLL_SECONDS = 0.05

# A batch as full as this one has more behind it: the end of the stream is not reached yet.
BUSY = 100
# What was published a moment before a short batch may still be on its way.
_ON_ITS_WAY = dt.timedelta(milliseconds=250)

Opening = Callable[[], AbstractAsyncContextManager[History]]


class StreamChangedError(Exception):
    """The stream is not the one that was read before. Its text says how it was noticed."""


class Listener(Protocol):
    """Somebody who shows what the monitor does. `each_change`: told of an order once per entry, not per batch."""

    each_change: bool

    def link(self, word: str, detail: str = "") -> None:
        """How the link with the broker stands now: `live`, `reading`, … and what there is to say about it."""

    def notice(self, text: str) -> None:
        """Something a person should know, said once."""

    def touched(self, commande_ids: Sequence[str]) -> None:
        """These orders have changed, and the change is stored."""


async def follow(opening: Opening, store: Store, listener: Listener) -> None:
    """Keep `store` up with the stream, for ever, through every loss of the broker.

    While another process writes the file, waits for it to leave. Raises BrokerRefused when the broker says no
    at the first try, DatabaseRefused when the file cannot be written.
    """
    await _our_turn(store, listener)
    failures, ever_open = 0, False
    while True:
        try:
            async with opening() as history:
                ever_open = True
                listener.link("reading")
                async with aclosing(read(history, store, listener)) as batches:
                    async for touched in batches:
                        failures = 0
                        listener.link("reading" if len(touched or ()) >= BUSY else "live")
        except (BrokerTrouble, BrokerRefused) as error:
            if isinstance(error, BrokerRefused) and not ever_open:
                raise
            failures += 1
            seconds = backoff(failures)
            listener.link("broker away", f"{error}; next try in {seconds:.0f} s")
            await asyncio.sleep(seconds)


async def catch_up(opening: Opening, store: Store, seconds: float) -> list[str]:
    """Read what there is to read now, within `seconds`. Returns what a reader of the result should know.

    Raises BrokerRefused when the broker says no, DatabaseRefused when the file cannot be written.
    """
    if not store.acquire():
        return await _beside_the_writer(store)
    notices = _Notices()
    try:
        async with (
            asyncio.timeout(seconds),
            opening() as history,
            aclosing(read(history, store, notices)) as batches,
        ):
            async for touched in batches:
                if touched is None:
                    break
    except TimeoutError:
        notices.notice(f"there was more to read than {seconds:.0f} s allow: this is not yet all")
    except BrokerTrouble as error:
        notices.notice(f"broker away ({error}): this is what was known before")
    return notices.said


async def read(history: History, store: Store, listener: Listener) -> AsyncGenerator[list[str] | None]:
    """Read into `store` for ever. Yields the orders each batch touched, None when there is no more for now.

    Raises BrokerTrouble when the session is lost.
    """
    while True:
        try:
            async with aclosing(_unread(history, store)) as batches:
                async for batch in batches:
                    yield await _take(store, batch, listener)
        except StreamChangedError as error:
            await asyncio.to_thread(store.forget)
            listener.notice(f"{error}: starting again from its first entry")


async def _unread(history: History, store: Store) -> AsyncGenerator[list[HistoryEntry]]:
    """The entries after the stored position. Raises StreamChangedError when it means nothing in this stream."""
    position, oldest = store.position(), await _oldest(history)
    start = _start(position, oldest)
    recognised = oldest is None
    deadline = _seconds() + RECOGNITION_SECONDS
    async with aclosing(history.entries(start)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            if recognised:
                yield batch
            elif batch:
                yield _recognise(store, position, oldest, batch)
                recognised = True
            elif _seconds() > deadline and position.last is not None:
                raise StreamChangedError("the stream ends before what was read of it")


async def _oldest(history: History) -> Mark | None:
    first = await history.first()
    return None if first is None else mark(first)


def _start(position: Position, oldest: Mark | None) -> int | Literal["first"]:
    """Where to read from: the last entry that was read, to see whether it is still the same."""
    if position.last is None or position.first is None:
        return "first"
    if oldest is None:
        raise StreamChangedError("the stream is empty, and was not")
    if oldest.offset > position.last.offset:
        raise StreamChangedError("the stream was trimmed past what was read of it")
    if oldest.offset < position.first.offset or (
        oldest.offset == position.first.offset and oldest.hash != position.first.hash
    ):
        raise StreamChangedError("the stream begins otherwise than before")
    return position.last.offset


def _recognise(
    store: Store, position: Position, oldest: Mark | None, batch: list[HistoryEntry]
) -> list[HistoryEntry]:
    """The part of `batch` that was not read before."""
    if position.last is None:
        return batch
    if mark(batch[0]) != position.last:
        raise StreamChangedError("the stream holds something else where the last entry was read")
    if oldest is not None and oldest != position.first:
        store.recognise(oldest)
    return batch[1:]


async def _take(store: Store, batch: list[HistoryEntry], listener: Listener) -> list[str] | None:
    now = dt.datetime.now(dt.UTC)
    if not batch:
        await asyncio.to_thread(store.caught_up, now)
        return None
    touched: list[str] = []
    for run in runs(batch, now) if listener.each_change else [[(e, read_entry(e, now)) for e in batch]]:
        ids = await asyncio.to_thread(_apply, store, run, now - _ON_ITS_WAY if len(batch) < BUSY else None)
        listener.touched(ids)
        touched += ids
    return touched


def _apply(
    store: Store, run: Sequence[tuple[HistoryEntry, Record]], caught_up_at: dt.datetime | None
) -> list[str]:
    return store.apply([record for _, record in run], mark(run[0][0]), mark(run[-1][0]), caught_up_at)


def runs(batch: Sequence[HistoryEntry], now: dt.datetime) -> Iterator[list[tuple[HistoryEntry, Record]]]:
    """Cut `batch` so that no run touches an order twice."""
    run: list[tuple[HistoryEntry, Record]] = []
    seen: set[str | None] = set()
    for entry in batch:
        record = read_entry(entry, now)
        commande_id = None if isinstance(record, IgnoredEntry) else record.commande_id
        if commande_id in seen:
            yield run
            run, seen = [], set()
        run.append((entry, record))
        seen |= {commande_id} - {None}
    if run:
        yield run


def mark(entry: HistoryEntry) -> Mark:
    return Mark(entry.offset, hashlib.sha256(entry.body).digest())


async def _our_turn(store: Store, listener: Listener) -> None:
    while not store.acquire():
        listener.link("following", "another monitor writes this file; this one shows it")
        await asyncio.sleep(1)


async def _beside_the_writer(store: Store) -> list[str]:
    """Let an idle writer finish what was said before now; of a busy one, or one without broker, only tell."""
    asked = dt.datetime.now(dt.UTC)
    pause = dt.timedelta(seconds=WRITER_PAUSE_SECONDS)
    while True:
        caught_up_at, now = store.position().caught_up_at, dt.datetime.now(dt.UTC)
        if caught_up_at is not None and caught_up_at >= asked:
            return []
        if caught_up_at is None or now - caught_up_at > pause or now - asked > pause:
            since = f"since {caught_up_at:%Y-%m-%d %H:%M:%S} UTC" if caught_up_at else "yet"
            return [f"the live monitor that writes this file has not caught up {since}: this may not be all"]
        await asyncio.sleep(WRITER_POLL_SECONDS)


def _seconds() -> float:
    return asyncio.get_running_loop().time()


class _Notices:
    each_change = False

    def __init__(self) -> None:
        self.said: list[str] = []

    def link(self, word: str, detail: str = "") -> None:
        """Nobody watches."""

    def notice(self, text: str) -> None:
        self.said.append(text)

    def touched(self, commande_ids: Sequence[str]) -> None:
        """Nobody watches."""
