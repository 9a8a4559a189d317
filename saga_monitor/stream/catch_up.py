"""Reads the stream once up to its end, for commands that answer once; waits when another process writes."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from contextlib import aclosing

from choregraphie import BrokerUnavailable, HistoryMissing
from choregraphie.saga.envelope import Instance
from saga_monitor.projection.store import Store, Writer
from saga_monitor.stream.follower import OpenHistory, read

# An idle monitor notes twice a second that there is nothing more to read, so waiting this long is worth it.
WRITER_PAUSE_SECONDS = 1.0
WRITER_POLL_SECONDS = 0.05


async def catch_up(opening: OpenHistory, store: Store, seconds: float) -> list[str]:
    """Reads everything that is there now, for at most `seconds`. Returns notices for a person.

    Raises BrokerRefused when the broker refuses, DatabaseRefused when the file cannot be written.
    """
    notices, asked = _Notices(), dt.datetime.now(dt.UTC)
    try:
        async with asyncio.timeout(seconds):
            if not await _acquire(store):
                return await _wait_for_writer(store)
            async with opening() as history, aclosing(read(history, store, notices)) as batches:
                async for touched in batches:
                    # A stream to which others publish all the time never has nothing more.
                    if touched is None or _has_read(store, asked):
                        break
    except TimeoutError:
        notices.notice(_unfinished(store, seconds))
    except HistoryMissing as error:
        notices.notice(str(error))
    except BrokerUnavailable as error:
        notices.notice(f"broker away ({error})")
    return notices.notices


def _has_read(store: Store, asked: dt.datetime) -> bool:
    """Whether everything that was there at `asked` has been read."""
    caught_up_at = store.position().caught_up_at
    return caught_up_at is not None and caught_up_at >= asked


async def _acquire(store: Store) -> bool:
    """Becomes the file's writer, after other commands; False while a running monitor writes it."""
    while not store.acquire(Writer.COMMAND):
        if store.writer() is not Writer.COMMAND:
            return False
        await asyncio.sleep(WRITER_POLL_SECONDS)
    return True


def _unfinished(store: Store, seconds: float) -> str:
    if store.writes:
        return f"reading took longer than {seconds:.0f} s: this is not complete"
    return f"another command has been reading into this file for {seconds:.0f} s: this may be incomplete"


async def _wait_for_writer(store: Store) -> list[str]:
    """Waits until an idle writer has read what is there. Reports a busy writer, or one without a broker."""
    asked = dt.datetime.now(dt.UTC)
    pause = dt.timedelta(seconds=WRITER_PAUSE_SECONDS)
    while True:
        if _has_read(store, asked):
            return []
        caught_up_at, now = store.position().caught_up_at, dt.datetime.now(dt.UTC)
        if caught_up_at is None or now - caught_up_at > pause or now - asked > pause:
            since = f"since {caught_up_at:%Y-%m-%d %H:%M:%S} UTC" if caught_up_at else "yet"
            return [f"the live monitor that writes this file has not caught up {since}: this may be incomplete"]
        await asyncio.sleep(WRITER_POLL_SECONDS)


class _Notices:
    each_change = False

    def __init__(self) -> None:
        self.notices: list[str] = []

    def link(self, word: str, detail: str = "") -> None:
        """Ignored: a command has no display."""

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def touched(self, instances: Sequence[Instance]) -> None:
        """Ignored: a command has no display."""
