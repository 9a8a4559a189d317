"""The data of the charts does not depend on how the history was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga_monitor.projection.time_series import bucket, bucket_ms, percentiles
from saga_monitor.web.reader import Reader
from tests.saga_monitor.memory_stream import SCENARIOS, START, Stream
from tests.saga_monitor.web.served import read_all
from tests.support.order_saga import SAGAS

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = int(START.timestamp()) // 60


def seen(path: Path, batch: int) -> dict[int, dict[str, int]]:
    stream = Stream()
    stream.batch = batch
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", lines)
    read_all(path, stream)
    reader = Reader(path, 60.0, SAGAS)
    found = reader.seen_between(MINUTE, MINUTE + 20, 1)
    reader.close()
    return {minute: {name: n for name, n in counts.items() if n} for minute, counts in found.items()}


def test_one_entry_at_a_time_or_all_at_once_makes_no_difference(tmp_path: Path) -> None:
    slow, fast = seen(tmp_path / "slow.sqlite3", 1), seen(tmp_path / "fast.sqlite3", 1000)
    assert {m: c for m, c in slow.items() if c} == {m: c for m, c in fast.items() if c}
    # An order that was created and then cancelled counts once, as cancelled.
    assert (fast[0]["started"], fast[0]["completed"], fast[0]["compensated"]) == (7, 1, 5)
    assert fast[15]["compensated"] == 1


@pytest.mark.parametrize("ms", [0, 1, 2, 10, 99, 350, 1000, 59_999, 900_000, 10**9])
def test_a_duration_is_kept_to_within_nine_percent(ms: int) -> None:
    assert bucket_ms(bucket(ms)) == pytest.approx(ms, rel=0.09)


def test_percentiles_of_nothing_are_nothing() -> None:
    assert percentiles({"started": 3}, (50, 99)) == [None, None]
    counts = {f"took.{bucket(100)}": 98, f"took.{bucket(10_000)}": 2}
    p50, p98, p99 = percentiles(counts, (50, 98, 99))
    assert p50 == p98 == pytest.approx(100, rel=0.09)
    assert p99 == pytest.approx(10_000, rel=0.09)
