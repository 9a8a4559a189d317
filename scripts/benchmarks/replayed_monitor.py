"""`saga_monitor serve` with a history that comes through standard input, one line per message.

An empty line ends a batch, which is as large as a broker's. After the end of the pipe the history stays open
without further entries.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, cast

from choregraphie.logs import configure_logs
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY
from saga_monitor.cli.serve import serve
from scripts.benchmarks.orders import Message
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from choregraphie.messaging import History, HistoryEntry


class PipedHistory:
    """A history that can be read once, from its first entry. The pipe blocks its writer meanwhile."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._offset = 0
        self._ended = False
        self._first_batch = self._next()

    async def first(self) -> HistoryEntry | None:
        return self._first_batch[0] if self._first_batch else None

    async def last(self) -> HistoryEntry | None:
        """An entry far ahead: the end of the pipe is unknown, and the entries are as old as they say."""
        return replace(self._first_batch[0], offset=sys.maxsize) if self._first_batch else None

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount]:
        """The entries of the history so far, plus one until the pipe has ended; no other queue."""
        return {HISTORY: QueueCount(self._offset + (not self._ended), 0)} if HISTORY in queues else {}

    async def entries(self, _: object) -> AsyncGenerator[list[HistoryEntry]]:
        yield self._first_batch
        while batch := await asyncio.to_thread(self._next):
            yield batch
        await asyncio.Event().wait()

    def _next(self) -> list[HistoryEntry]:
        lines = list(itertools.takewhile(bytes.strip, self._pipe))
        self._offset += len(lines)
        self._ended = not lines
        first = self._offset - len(lines)
        return [Message.of(line).entry(first + n) for n, line in enumerate(lines)]


@asynccontextmanager
async def _opening() -> AsyncIterator[History]:
    yield cast("History", await asyncio.to_thread(PipedHistory, sys.stdin.buffer))


if __name__ == "__main__":
    settings = APP.read_settings(os.environ)
    configure_logs(settings)
    asyncio.run(serve(APP, _opening, settings))
