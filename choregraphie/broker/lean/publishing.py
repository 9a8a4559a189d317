"""Publishes a group of messages with one write, and matches confirms and returned messages to it."""

import asyncio
import contextlib
import struct
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from choregraphie.broker.connection import CONFIRM_SECONDS, LOST_ERRORS
from choregraphie.broker.lean.content_header import EncodedHeader, body_size
from choregraphie.broker.lean.frames import (
    BASIC_ACK,
    BASIC_NACK,
    BASIC_RETURN,
    BODY,
    HEADER,
    METHOD,
    published,
    short_text,
)
from choregraphie.broker.lean.transport import LeanTransport
from choregraphie.messaging import Outgoing, PublishOutcome

_METHOD = struct.Struct(">HH")
_CONFIRM = struct.Struct(">QB")


class _Group:
    """Messages that were published together: their outcomes, and how many are open."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self.outcomes: list[PublishOutcome | None] = [None] * len(messages)
        self._messages = messages
        self.open = len(messages)
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @cached_property
    def by_id(self) -> dict[str | None, int]:
        """The messages by the ids that they show when they are returned: cut to a short string, or none."""
        return {
            short_text(message.properties.message_id or "") or None: number
            for number, message in enumerate(self._messages)
        }

    def settle(self, number: int, outcome: PublishOutcome) -> None:
        """A returned message is confirmed too; it stays returned."""
        self.outcomes[number] = self.outcomes[number] or outcome
        self.open -= 1
        if not self.open:
            self.end()

    def end(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)


class LeanPublishing:
    """A channel with confirms. `channel` is the client's: it closes it, and reports its loss."""

    def __init__(self, channel: Any, transport: LeanTransport) -> None:
        self._channel = channel
        self._number: int = channel.number
        self._transport = transport
        self._largest_frame: int = channel.connection.connection_tune.frame_max
        self._last_tag = 0
        # What is neither confirmed nor refused yet, in the order of its delivery tags.
        self._open: dict[int, tuple[_Group, int]] = {}
        # A returned message: its header comes after the method, and its body after that.
        self._returning = False
        self._body_left = 0
        transport.lanes[self._number] = self
        channel.closing.add_done_callback(self._on_closed)

    async def publish(self, window: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish messages with different ids, and wait for the confirms."""
        if self._channel.is_closed:
            return [PublishOutcome.UNKNOWN] * len(window)
        group = _Group(window)
        # All of it first: the broker numbers what it receives, so a message that cannot be encoded gets no tag.
        frames = [published(self._number, one, self._largest_frame) for one in window]
        for number in range(len(window)):
            self._last_tag += 1
            self._open[self._last_tag] = group, number
        self._transport.write(b"".join(frames))
        with contextlib.suppress(*LOST_ERRORS):
            async with asyncio.timeout(CONFIRM_SECONDS):
                await self._transport.drain()
                await group.settled
        return [outcome or PublishOutcome.UNKNOWN for outcome in group.outcomes]

    def take(self, kind: int, data: bytes, start: int, end: int) -> int:
        return end + 1 if self._takes(kind, data, start, end) else 0

    def _takes(self, kind: int, data: bytes, start: int, end: int) -> bool:
        if kind == METHOD:
            method = _METHOD.unpack_from(data, start)
            if method == BASIC_ACK:
                self._settle(PublishOutcome.CONFIRMED, *_CONFIRM.unpack_from(data, start + 4))
            elif method == BASIC_NACK:
                self._settle(PublishOutcome.REFUSED, *_CONFIRM.unpack_from(data, start + 4))
            elif method == BASIC_RETURN:
                self._returning = True
            else:
                return False
            return True
        if kind == HEADER and self._returning:
            self._return(data[start:end])
            return True
        if kind == BODY and self._body_left > 0:
            self._body_left -= end - start
            return True
        return False

    def flush(self) -> None:
        """Nothing: whoever published is woken by its own confirms."""

    def _settle(self, outcome: PublishOutcome, tag: int, bits: int) -> None:
        if not bits & 1:
            if found := self._open.pop(tag, None):
                group, number = found
                group.settle(number, outcome)
            return
        # Tags are inserted in their order, so those up to `tag` come first; tag 0 means all.
        settled = [open_tag for open_tag in self._open if open_tag <= tag] if tag else [*self._open]
        for open_tag in settled:
            group, number = self._open.pop(open_tag)
            group.settle(number, outcome)

    def _return(self, payload: bytes) -> None:
        """A message without a queue. Its confirm comes after it."""
        self._returning = False
        self._body_left = body_size(payload)
        message_id = EncodedHeader(payload).properties.message_id
        for group, _ in self._open.values():
            number = group.by_id.get(message_id)
            if number is not None and group.outcomes[number] is None:
                group.outcomes[number] = PublishOutcome.RETURNED
                return

    def _on_closed(self, _: "asyncio.Future[Any]") -> None:
        self._transport.lanes.pop(self._number, None)
        for group, _number in self._open.values():
            group.end()
        self._open.clear()
