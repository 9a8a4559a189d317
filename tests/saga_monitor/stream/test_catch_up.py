"""A reading has caught up when it has read what was there when it began: neither later nor before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga_monitor.stream.catch_up import catch_up
from saga_monitor.stream.follower import FULL
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, PLACED, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from choregraphie.saga.envelope import Instance


async def test_catching_up_waits_for_no_silence(stream: Stream, tmp_path: Path) -> None:
    """Of an empty stream, of a new one, of one that has nothing new, and of one that has grown."""
    stream.idle_seconds = 3600.0
    monitor = Monitor(tmp_path / "m.sqlite3")
    for events in (0, FULL + 100, 0, 1, 0):
        stream.publish(f"CMD-{stream.next}", PLACED * events)
        stream.batch = FULL
        assert await catch_up(stream.opening(), monitor.store, 60) == []
        totals = monitor.queries.totals(SOON)
        assert totals.count("events") + totals.count("duplicates") == stream.next
    monitor.close()


class _EndsAtOnce(Monitor):
    """A monitor that ends when it has shown the first change of an instance."""

    each_change = True

    def touched(self, instances: Sequence[Instance]) -> None:
        raise KeyboardInterrupt


async def test_a_monitor_that_ends_within_a_batch_has_not_caught_up(stream: Stream, tmp_path: Path) -> None:
    stream.publish("CMD-1", CONFIRMED)
    monitor = _EndsAtOnce(tmp_path / "m.sqlite3")
    assert monitor.store.acquire()
    with pytest.raises(KeyboardInterrupt):
        await monitor.read(stream)
    position = monitor.store.position()
    assert position.last
    assert (position.last.offset, position.caught_up_at) == (0, None)
    monitor.close()
