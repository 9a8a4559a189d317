"""Reports how current the reading is, and sends server-sent events when something changes."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from choregraphie import UserError
from choregraphie.saga.envelope import Instance
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.text.freshness import Link
from saga_monitor.web.reader import Readers

POLL_SECONDS = 0.5
# Proxies and browsers drop idle connections.
COMMENT_SECONDS = 15.0
# Each listener holds a connection. Further pages work without live updates.
MOST_LISTENERS = 100
# Frees the place of a listener that vanished; a page that is still open reconnects by itself.
LONGEST_LISTENING_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """`word`: `live`, `catching up`, `connecting`, `broker away`, … `ready`: the rows are current."""

    word: str
    detail: str
    ready: bool
    as_of: dt.datetime | None
    last_offset: int
    notice: str = ""


class LiveUpdates:
    """The reader reports to it; it polls the file too, because another process may be the writer."""

    each_change = False

    def __init__(self, readers: Readers, most_listeners: int = MOST_LISTENERS) -> None:
        self._readers = readers
        self.most_listeners = most_listeners
        self._link = Link()
        self._notice = ""
        self._changed = asyncio.Event()
        self._published: tuple[object, ...] = ()
        self.listeners = 0
        self.stopping = False
        self.ever_read = False

    def link(self, word: str, detail: str = "") -> None:
        self._link.change(word, detail, dt.datetime.now(dt.UTC))
        self.ever_read = self.ever_read or word == "live"

    def notice(self, text: str) -> None:
        self._notice = text

    def touched(self, instances: Sequence[Instance]) -> None:
        """Nothing to do: the next poll sees the change."""

    def standing(self, as_of: dt.datetime | None, last_offset: int, now: dt.datetime) -> LiveStatus:
        """The state of the reading. `as_of`, `last_offset`: of the file."""
        word, ready = self._link.word, self._link.ready(as_of, now)
        if self._link.keeps_up:
            word = "live" if ready else "catching up"
        return LiveStatus(word, self._link.detail, ready, as_of, last_offset, self._notice)

    def stop(self) -> None:
        """End all listeners."""
        self.stopping = True
        self._wake_listeners()

    def next_change(self) -> asyncio.Event:
        """Set when the file or the connection state changes after this call, or when all listeners end."""
        return self._changed

    async def poll_file(self) -> None:
        """Poll the file until cancelled, and wake the listeners when it or the connection state has changed."""
        while True:
            try:
                as_of, last_offset = await run_in_thread(self._position)
            except UserError as error:
                self._publish("database", str(error))
            else:
                standing = self.standing(as_of, last_offset, dt.datetime.now(dt.UTC))
                self._publish(standing.word, standing.detail, standing.notice, standing.last_offset)
            await asyncio.sleep(POLL_SECONDS)

    def _position(self) -> tuple[dt.datetime | None, int]:
        with self._readers.reader() as reader:
            return reader.as_of(), reader.last_offset()

    def _publish(self, *change: object) -> None:
        if change != self._published:
            self._published = change
            self._wake_listeners()

    def _wake_listeners(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @contextmanager
    def listening(self) -> Iterator[bool]:
        """Hold a place among the listeners during the block; yields False when all are taken."""
        if self.listeners >= self.most_listeners:
            yield False
            return
        self.listeners += 1
        try:
            yield True
        finally:
            self.listeners -= 1

    async def changes(self) -> AsyncIterator[bytes]:
        """Server-sent events: the current state, then every change."""
        yield b"retry: 2000\n\n"
        end = time.monotonic() + LONGEST_LISTENING_SECONDS
        while not self.stopping and time.monotonic() < end:
            waiting = self._changed
            if self._published:
                yield _event(*self._published)
            while not waiting.is_set() and not self.stopping and time.monotonic() < end:
                try:
                    await asyncio.wait_for(waiting.wait(), COMMENT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"


def _event(word: object, detail: object = "", notice: object = "", last_offset: object = None) -> bytes:
    # JSON contains no line break, so no text can end an event early.
    said = json.dumps({"link": word, "detail": detail, "notice": notice, "last_offset": last_offset})
    return f"event: changed\ndata: {said}\n\n".encode()
