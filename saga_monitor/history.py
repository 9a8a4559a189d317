"""Follows the history stream into the store: from where it stopped, or from the start of another stream."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Literal, Protocol

from saga_monitor.reading.dating import Dating
from saga_monitor.reading.entries import IgnoredEntry, Record, read_next
from saga_monitor.reading.facts import LONGEST_SILENCE
from saga_monitor.store import Mark, Position, Store
from services.runtime import BrokerRefused, BrokerTrouble, History, HistoryEntry, backoff

# An entry that was read before is delivered again at once; after this long, it is not there any more.
RECOGNITION_SECONDS = 5.0
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
                        listener.link("live" if touched is None or 0 < len(touched) < BUSY else "reading")
        except (BrokerTrouble, BrokerRefused) as error:
            if isinstance(error, BrokerRefused) and not ever_open:
                raise
            failures += 1
            seconds = backoff(failures)
            listener.link("broker away", f"{error}; next try in {seconds:.0f} s")
            await asyncio.sleep(seconds)


@dataclass
class _Reading:
    """One reading of the stream: how far it has come, and whether that was ever the stream's end.

    `oldest`: the first entry that the stream holds; `last`: the offset that was read last; `goal`: where the
    stream ended when the reading first seemed to have come to its end.
    """

    history: History
    store: Store
    position: Position
    oldest: Mark | None
    dating: Dating
    last: int = -1
    goal: int | None = None
    abreast: bool = False
    silences: int = 0

    async def look(self, batch: Sequence[HistoryEntry]) -> None:
        """Take note of `batch`. Raises BrokerTrouble when the stream should go on, and has not for long."""
        self.last = batch[-1].offset if batch else self.last
        self.silences = 0 if batch else self.silences + 1
        if not self.abreast and (self.goal is not None or len(batch) < BUSY):
            # A short batch is not the end: a slow broker pauses. Asked once: one that grows has no end.
            self.goal = await self.end() if self.goal is None else self.goal
            self.abreast = self.last >= self.goal
            if not self.abreast and self.silences > LONGEST_SILENCE:
                raise BrokerTrouble(f"the history stream goes on after entry {self.last}, and delivers nothing")

    async def end(self) -> int:
        """The offset of the stream's last entry."""
        newest = await self.history.last() if self.oldest else None
        return newest.offset if newest else -1


async def read(history: History, store: Store, listener: Listener) -> AsyncGenerator[list[str] | None]:
    """Read into `store` for ever. Yields the orders each batch touched, None when there is no more for now.

    Raises BrokerTrouble when the session is lost.
    """
    while True:
        try:
            reading = await _begin(history, store)
            async with aclosing(_unread(reading)) as batches:
                async for batch in batches:
                    yield await _take(reading, batch, listener)
        except StreamChangedError as error:
            await asyncio.to_thread(store.forget)
            listener.notice(f"{error}: starting again from its first entry")


async def _begin(history: History, store: Store) -> _Reading:
    position, first = store.position(), await history.first()
    last = -1 if position.last is None else position.last.offset
    dating = Dating(_now(), position.caught_up_at)
    return _Reading(history, store, position, None if first is None else mark(first), dating, last)


async def _unread(reading: _Reading) -> AsyncGenerator[list[HistoryEntry]]:
    """The entries after the stored position. Raises StreamChangedError when it means nothing in this stream."""
    position, oldest = reading.position, reading.oldest
    start = _start(position, oldest)
    recognised = position.last is None or oldest is None
    deadline, doubts = _seconds() + RECOGNITION_SECONDS, 0
    async with aclosing(reading.history.entries(start)) as batches:
        async for batch in batches:
            if recognised:
                yield batch
            elif batch:
                recognised = True
                if unread := _recognise(reading, batch):
                    yield unread
            elif _seconds() > deadline:
                doubts += 1
                await _doubt(reading, doubts)
                deadline = _seconds() + RECOGNITION_SECONDS


async def _doubt(reading: _Reading, doubts: int) -> None:
    """What was read last does not come. Raises StreamChangedError once it is sure that it is not there any more.

    Silence alone proves nothing, and everything would be forgotten for it: the broker is asked, and asked again,
    for of a stream that it has just opened it may have counted a part only.
    """
    end = await reading.end()
    if reading.oldest is None or end < reading.oldest.offset or end >= reading.last:
        raise BrokerTrouble(f"the history stream holds entry {reading.last}, and does not deliver it")
    if doubts > 1:
        raise StreamChangedError("the stream ends before what was read of it")


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


def _recognise(reading: _Reading, batch: list[HistoryEntry]) -> list[HistoryEntry]:
    """The part of `batch` that was not read before."""
    if mark(batch[0]) != reading.position.last:
        raise StreamChangedError("the stream holds something else where the last entry was read")
    if reading.oldest is not None and reading.oldest != reading.position.first:
        reading.store.recognise(reading.oldest)
    read_next(batch[0], reading.dating)
    return batch[1:]


async def _take(reading: _Reading, batch: list[HistoryEntry], listener: Listener) -> list[str] | None:
    store, dating, now = reading.store, reading.dating, _now()
    await reading.look(batch)
    if not batch:
        return await _pause(reading, now)
    dating.now = now
    entries = [(entry, read_next(entry, dating)) for entry in batch]
    caught_up_at = now - _ON_ITS_WAY if reading.abreast and len(batch) < BUSY else None
    touched: list[str] = []
    for run in runs(entries) if listener.each_change else [entries]:
        ids = await asyncio.to_thread(_apply, store, run, caught_up_at)
        listener.touched(ids)
        touched += ids
    dating.since = caught_up_at or dating.since
    return touched


async def _pause(reading: _Reading, now: dt.datetime) -> list[str] | None:
    if not reading.abreast:
        return []
    await asyncio.to_thread(reading.store.caught_up, now)
    reading.dating.since = now
    return None


def _apply(
    store: Store, run: Sequence[tuple[HistoryEntry, Record]], caught_up_at: dt.datetime | None
) -> list[str]:
    return store.apply([record for _, record in run], mark(run[0][0]), mark(run[-1][0]), caught_up_at)


def runs(entries: Iterable[tuple[HistoryEntry, Record]]) -> Iterator[list[tuple[HistoryEntry, Record]]]:
    """Cut `entries` so that no run touches an order twice."""
    run: list[tuple[HistoryEntry, Record]] = []
    seen: set[str | None] = set()
    for entry, record in entries:
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


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
