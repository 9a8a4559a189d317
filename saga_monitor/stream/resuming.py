"""Decides where reading resumes: after the last entry, after a gap, or in a new stream."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from choregraphie import BrokerUnavailable
from choregraphie.messaging import History, HistoryEntry
from saga_monitor.projection.gaps import Gap, Loss
from saga_monitor.projection.store import Mark, Position, Store
from saga_monitor.records.broker_status import LONGEST_SILENCE
from saga_monitor.records.parser import EntryParser
from saga_monitor.records.timestamps import EntryClock, said_at

# An entry that was read before is delivered at once; after this long it no longer exists.
RECOGNITION_SECONDS = 5.0
# A batch of at least this size is not the end of the stream.
BUSY = 100
# An entry published just before a short batch may still be on its way.
_ON_ITS_WAY = dt.timedelta(milliseconds=250)
# When a client tracks its position in the stream, the broker itself uses an offset at the start of each segment.
BROKERS_OWN = 1


class StreamReplacedError(Exception):
    """The stream is not the one read before. The message says how this was noticed."""


@dataclass
class Reading:
    """One reading of the stream, and how far it has come.

    `oldest`: the first entry in the stream. `end`: the offset of its last entry at `asked`: when the reading
    begins, and once more when it seems to be at the end (`asked_again`), as more is published on a long way there.
    `reached`: the reading has come to that end. `last`: the offset of the last entry read. `shift`: what the file
    adds to this stream's offsets, so that entries of a replacement stream follow those of the old one. `trimmed`:
    the last entry read is no longer in the stream.
    """

    history: History
    store: Store
    position: Position
    oldest: HistoryEntry | None
    clock: EntryClock
    parser: EntryParser
    asked: dt.datetime
    end: int
    last: int = -1
    shift: int = 0
    trimmed: bool = False
    reached: bool = False
    asked_again: bool = False
    silences: int = 0

    def with_file_offsets(self, batch: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
        """`batch` with the numbers that the file uses instead of stream offsets."""
        return [replace(entry, offset=entry.offset + self.shift) for entry in batch] if self.shift else batch

    def gap_before(self, batch: Sequence[HistoryEntry], now: dt.datetime) -> Gap | None:
        """The gap before or between the entries of `batch`, if any."""
        before = self.last
        if before < 0 and self.position.last is None:
            if (gap := self._gap_at_start(batch[0], now)) is not None:
                return gap
            before = batch[0].offset - 1
        offsets = [before, *(entry.offset for entry in batch)]
        gaps = [after - before - 1 for before, after in pairwise(offsets)]
        least, self.trimmed = (0 if self.trimmed else BROKERS_OWN), False
        lost = sum(gap_size for gap_size in gaps if gap_size > least)
        if not lost:
            return None
        known = self.clock.since or self.position.as_of
        return Gap(now, Loss.TRIMMED, lost, batch[0].offset, known, said_at(batch[0], now))

    def _gap_at_start(self, first: HistoryEntry, now: dt.datetime) -> Gap | None:
        if self.position.shift:
            self.shift = self.position.shift - first.offset
            return None
        # A stream may begin at an offset other than 0 (RabbitMQ 4.4), so the number of lost entries is unknown.
        return Gap(now, Loss.BEGINNING, None, first.offset, None, said_at(first, now)) if first.offset else None

    async def note_batch(self, batch: Sequence[HistoryEntry], now: dt.datetime) -> dt.datetime | None:
        """Notes `batch`, of `now`. Returns the time up to which all that was said has been read, where known.

        Raises BrokerUnavailable when a stream that should continue is silent for too long.
        """
        self.last = batch[-1].offset if batch else self.last
        self.silences = 0 if batch else self.silences + 1
        if self.reached and not self.asked_again and len(batch) < BUSY:
            # A short batch is not the end, because a slow broker pauses. Ask once: a busy stream has no end.
            self.asked, self.end = now, await end_of(self.history)
            self.asked_again, self.reached = True, False
        if self.last < self.end:
            self._check_silence()
            return None
        if not self.reached:
            self.reached = True
            return self.asked
        at_end = self.asked_again and len(batch) < BUSY
        return (now - _ON_ITS_WAY if batch else now) if at_end else None

    def _check_silence(self) -> None:
        if self.silences > LONGEST_SILENCE:
            raise BrokerUnavailable(f"the history stream goes on after entry {self.last}, but delivers nothing")


async def start_reading(history: History, store: Store) -> Reading:
    asked, position, oldest = dt.datetime.now(dt.UTC), store.position(), await history.first()
    end = await end_of(history) if oldest else -1
    last = -1 if position.last is None else position.last.offset
    clock = EntryClock(asked, position.caught_up_at)
    parser = EntryParser(store.sagas, store.verifier)
    shift = position.shift if position.last else 0
    return Reading(history, store, position, oldest, clock, parser, asked, end, last, shift)


async def end_of(history: History) -> int:
    """The offset of the stream's last entry; -1 when it is empty."""
    newest = await history.last()
    return newest.offset if newest else -1


async def unread_entries(reading: Reading) -> AsyncGenerator[list[HistoryEntry]]:
    """The entries after the stored position; an empty batch also when there are none after it.

    Raises StreamReplacedError when this stream does not have it.
    """
    start = _first_offset(reading)
    resumed = start != reading.last or reading.oldest is None
    if reading.oldest is None:
        yield []
    deadline, attempts = _seconds() + RECOGNITION_SECONDS, 0
    async with aclosing(reading.history.entries(start)) as batches:
        async for batch in batches:
            if resumed:
                yield batch
            elif batch:
                resumed = True
                yield _skip_known(reading, batch)
            elif _seconds() > deadline:
                attempts += 1
                await _check_position(reading, attempts)
                deadline = _seconds() + RECOGNITION_SECONDS


async def _check_position(reading: Reading, attempts: int) -> None:
    """The last entry read is not delivered. Raises StreamReplacedError once it certainly no longer exists.

    Silence alone proves nothing: the broker is asked, and asked again, for of a stream that it has just opened it
    may have counted a part only.
    """
    end = await end_of(reading.history) if reading.oldest else -1
    if reading.oldest is None or end < reading.oldest.offset or end >= reading.last:
        raise BrokerUnavailable(f"the history stream has entry {reading.last}, but does not deliver it")
    if attempts > 1:
        raise StreamReplacedError("the stream ends before what was read of it")


def _first_offset(reading: Reading) -> int | Literal["first"]:
    """Where to read from: the last entry read, to check that it is unchanged, or else the next one."""
    position, oldest = reading.position, reading.oldest
    if position.last is None or position.first is None:
        return "first"
    if oldest is None:
        raise StreamReplacedError("the stream is empty, but entries had been read")
    if oldest.offset > position.last.offset:
        # The last entry read no longer exists. The gap is recorded with the first batch.
        reading.store.set_first_entry(mark_of(oldest))
        reading.trimmed = True
        return oldest.offset
    if oldest.offset < position.first.offset or (
        oldest.offset == position.first.offset and mark_of(oldest) != position.first
    ):
        raise StreamReplacedError("the stream begins with another entry than before")
    return position.last.offset


def _skip_known(reading: Reading, batch: list[HistoryEntry]) -> list[HistoryEntry]:
    """The entries of `batch` that were not read before."""
    if mark_of(batch[0]) != reading.position.last:
        raise StreamReplacedError("the stream has another entry where the last entry was read")
    if reading.oldest is not None and mark_of(reading.oldest) != reading.position.first:
        reading.store.set_first_entry(mark_of(reading.oldest))
    reading.parser.parse_next(batch[0], reading.clock)
    return batch[1:]


def mark_of(entry: HistoryEntry) -> Mark:
    return Mark(entry.offset, hashlib.sha256(entry.body).digest())


def _seconds() -> float:
    return asyncio.get_running_loop().time()
