"""Reads the raw events of an instance again from the stream, which alone keeps the bytes."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from choregraphie import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import History, HistoryEntry
from choregraphie.saga.content_modes import is_binary
from saga_monitor.projection.queries import RecordedEvent
from saga_monitor.stream.follower import OpenHistory
from saga_monitor.stream.history_reader import event_of

SECONDS = 6.0
MOST_EVENTS = 100
_MOST_WAITING = 4


@dataclass(frozen=True, slots=True)
class RawEvent:
    """`text`: the envelope as formatted JSON; None when the stream has dropped the entry or was replaced.

    `binary`: its attributes are headers.
    """

    offset: int
    type: str
    exchange: str | None
    text: str | None
    binary: bool = False


class RawUnavailableError(Exception):
    """The stream cannot be read now. Its text is the reason, in one line."""


class RawEventReader:
    """Reads single entries of the stream, for one request at a time, to limit the load on the broker."""

    def __init__(self, opening: OpenHistory) -> None:
        self._opening = opening
        self._turn = asyncio.Lock()
        self._inside = 0

    async def said(self, events: Sequence[RecordedEvent]) -> list[RawEvent]:
        """Raises RawUnavailableError."""
        if self._inside > _MOST_WAITING:
            raise RawUnavailableError("others are reading it; try again")
        self._inside += 1
        try:
            # The time limit begins with this request's turn.
            async with self._turn, asyncio.timeout(SECONDS), self._opening() as history:
                return await _read(history, events[:MOST_EVENTS])
        except TimeoutError:
            raise RawUnavailableError(f"the stream did not answer within {SECONDS:.0f} s") from None
        except (BrokerUnavailable, BrokerRefused) as error:
            raise RawUnavailableError(f"the broker is away ({error})") from None
        finally:
            self._inside -= 1


async def _read(history: History, events: Sequence[RecordedEvent]) -> list[RawEvent]:
    first = await history.first()
    found: dict[int, RawEvent] = {}
    for event in events:
        if event.offset not in found and first is not None and event.offset >= first.offset:
            # Events of one instance are close together, so each batch is searched for all of them.
            await _batch(history, event.offset, {e.offset: e for e in events}, found)
    return [found.get(event.offset, RawEvent(event.offset, event.type, None, None)) for event in events]


async def _batch(
    history: History, offset: int, wanted: dict[int, RecordedEvent], found: dict[int, RawEvent]
) -> None:
    async with aclosing(history.entries(offset)) as batches:
        async for batch in batches:
            for entry in batch:
                event = wanted.get(entry.offset)
                if event is not None:
                    found[entry.offset] = _shown(event, entry)
            return


def _shown(event: RecordedEvent, entry: HistoryEntry) -> RawEvent:
    said = event_of(entry)
    if not isinstance(said, dict) or (said.get("source"), said.get("id")) != (event.source, event.id):
        # The stream was replaced.
        return RawEvent(event.offset, event.type, None, None)
    text = json.dumps(said, indent=2, ensure_ascii=False)
    return RawEvent(event.offset, event.type, entry.exchange, text, is_binary(entry.headers, entry.content_type))
