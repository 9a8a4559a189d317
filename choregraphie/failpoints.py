"""Named places where a setting makes a worker or a relay die, so that tests can see what happens next.

`SAGA_FAILPOINT=after_commit` kills the process the first time it comes by; `after_commit:3` the third time.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from enum import StrEnum

from choregraphie.errors import BadSetting


class Place(StrEnum):
    """The boundaries of the pipeline, in the order in which a delivery passes them; then those of a relay, and of
    an operator's tool."""

    BEFORE_CALL = "before_call"
    AFTER_CALL = "after_call"
    IN_TRANSACTION = "in_transaction"
    AFTER_COMMIT = "after_commit"
    AFTER_CONFIRM = "after_confirm"
    AFTER_RETRY_PUBLISH = "after_retry_publish"
    AFTER_DEAD_LETTER_PUBLISH = "after_dead_letter_publish"
    BEFORE_MARK = "before_mark"
    AFTER_ACK = "after_ack"
    BEFORE_RELAY = "before_relay"
    AFTER_RELAY = "after_relay"
    AFTER_LETTER_CONFIRM = "after_letter_confirm"
    AFTER_SETTLEMENT = "after_settlement"


_armed: dict[Place, int] = {}
_watchers: list[Callable[[Place], None]] = []


def arm(spec: str) -> None:
    """Arm the place of `spec` (`place` or `place:count`); an empty `spec` disarms all. Raises BadSetting."""
    _armed.clear()
    if not spec:
        return
    name, _, count = spec.partition(":")
    try:
        _armed[Place(name)] = int(count or 1)
    except ValueError:
        raise BadSetting(f"SAGA_FAILPOINT: one of {', '.join(Place)}, and perhaps :COUNT") from None


@contextlib.contextmanager
def watched(watcher: Callable[[Place], None]) -> Iterator[None]:
    """Call `watcher` at every place while the block lasts; the simulator uses it to raise instead of dying."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def passing(place: Place) -> None:
    """Kill the process here, as a power cut would, when `place` is armed and its count has run out."""
    for watcher in _watchers:
        watcher(place)
    if place not in _armed:
        return
    _armed[place] -= 1
    if _armed[place] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
