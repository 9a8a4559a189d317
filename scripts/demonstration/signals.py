"""Signals that end the demonstration become an exception, but never between starting something and noting it."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants this to end. The number of the signal is its argument."""


_held = 0
_waiting: list[int] = []


def listen() -> None:
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on nothing is interrupted: what was begun is being ended."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """An interruption waits for the end of this block: what it starts is written down, and so can be ended."""
    global _held  # noqa: PLW0603 - there is one process, and its signals are its own
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        # Also when the block has failed: the interruption may be why.
        if _waiting and not _held:
            raise Interrupted(_waiting.pop())


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _held:
        _waiting.append(number)
    else:
        raise Interrupted(number)
