"""Turns the signals that end the demonstration into an exception, deferred while a process is being recorded."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The demonstration is to end. Its argument is the number of the signal."""


_deferrals = 0
_pending: list[int] = []


def install_handlers() -> None:
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Ignore further signals: the shutdown has begun."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Defers an interruption to the end of this block: what it starts is recorded, and so can be ended."""
    global _deferrals  # noqa: PLW0603 - signals belong to the process, and so does this
    _deferrals += 1
    try:
        yield
    finally:
        _deferrals -= 1
        # Also when the block has failed: the interruption may be the cause.
        if _pending and not _deferrals:
            raise Interrupted(_pending.pop())


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _deferrals:
        _pending.append(number)
    else:
        raise Interrupted(number)
