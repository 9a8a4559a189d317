"""The stream is followed through every loss of the broker and beside other monitors."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Never

import pytest

from choregraphie import BrokerRefused, DatabaseRefused, LoginRefused, retrying
from choregraphie.messaging import HistoryEntry
from saga_monitor.projection.store import Store, Writer
from saga_monitor.stream import follower
from saga_monitor.stream.catch_up import catch_up
from saga_monitor.stream.follower import follow, in_groups
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, PLACED, START, Stream
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path


async def test_following_waits_for_the_broker_at_start_and_after_a_loss(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "backoff", lambda _: 0.01)
    stream.away = True
    following = asyncio.create_task(follow(stream.opening(), monitor.store, monitor))
    await _until(lambda: any("broker away" in link for link in monitor.links))
    stream.publish("CMD-1", PLACED)
    stream.away = False
    await _until(lambda: monitor.queries.totals(SOON).instances == 1)
    stream.away = True
    await _until(lambda: "broker away" in monitor.links[-1])
    stream.publish("CMD-2", PLACED)
    stream.away = False
    await _until(lambda: monitor.queries.totals(SOON).instances == 2)
    assert stream.sessions == 2
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


async def test_a_refusal_at_the_first_try_ends_the_following(monitor: Monitor) -> None:
    def refuse() -> Never:
        raise BrokerRefused("bad password")

    with pytest.raises(BrokerRefused):
        await follow(refuse, monitor.store, monitor)


async def test_a_login_that_worked_and_stays_refused_ends_the_following(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "backoff", lambda _: 0.01)
    monkeypatch.setattr(retrying, "REFUSED_SECONDS", 0.1)
    good, refused = stream.opening(), False

    def opening() -> Any:
        if refused:
            raise LoginRefused("bad password")
        return good()

    following = asyncio.create_task(follow(opening, monitor.store, monitor))
    stream.publish("CMD-1", PLACED)
    await _until(lambda: monitor.queries.totals(SOON).instances == 1)
    refused = stream.away = True
    with pytest.raises(LoginRefused, match="bad password; refused for"):
        await asyncio.wait_for(following, 60)
    assert "broker away" in monitor.links[-1]


async def test_full_batches_are_written_together_until_one_is_not_full() -> None:
    """A reading that is behind writes fewer and larger groups; one that keeps up writes each batch at once."""

    async def batches(*sizes: int) -> AsyncGenerator[list[HistoryEntry]]:
        entries = iter(HistoryEntry(n, "", "", b"", {}) for n in range(sum(sizes)))
        for size in sizes:
            yield list(itertools.islice(entries, size))

    async def grouped(*sizes: int, seconds: float = 60.0, end: int = -1) -> list[int]:
        groups = [group async for group in in_groups(batches(*sizes), seconds, end=end)]
        assert [e.offset for group in groups for e in group] == list(range(sum(sizes)))
        return [len(group) for group in groups]

    assert await grouped(500, 500, 500, 500, 500, 20, 0, 3) == [2000, 520, 0, 3]
    assert await grouped(500, 0, 0) == [500, 0]
    assert await grouped(500, 500, 500, 10, seconds=0.0) == [500, 500, 500, 10]
    assert await grouped(3000, 200, 200) == [3000, 200, 200]
    assert await grouped(500, 500, 500, 500, 0, end=900) == [1000, 1000]


async def test_without_a_broker_catching_up_keeps_what_is_known(stream: Stream, tmp_path: Path) -> None:
    stream.publish("CMD-1", PLACED)
    store = Store(tmp_path / "m.sqlite3", SAGAS)
    assert await catch_up(stream.opening(), store, 60) == []
    stream.away = True
    (notice,) = await catch_up(stream.opening(), store, 60)
    assert "broker away" in notice
    store.close()


async def test_catching_up_ends_at_the_end_and_not_at_the_first_silence(stream: Stream, tmp_path: Path) -> None:
    """From the start of the stream, and from the last position."""
    stream.pauses, stream.batch = 3, 2
    monitor = Monitor(tmp_path / "m.sqlite3")
    for number in (1, 2):
        stream.publish(f"CMD-{number}", CONFIRMED)
        assert await catch_up(stream.opening(), monitor.store, 60) == []
        assert monitor.queries.totals(SOON).count("events") == number * len(CONFIRMED)
    monitor.close()


class NeverIdleStream(Stream):
    """Whenever it is read, somebody has published another event."""

    async def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        async for batch in super().entries(start):
            yield batch
            await asyncio.sleep(0.01)
            self.publish(f"CMD-{self.next}", PLACED)


async def test_catching_up_ends_on_a_stream_that_is_never_idle(monitor: Monitor) -> None:
    stream = NeverIdleStream()
    stream.publish("CMD-1", PLACED)
    assert await catch_up(stream.opening(), monitor.store, 60) == []
    assert monitor.queries.totals(SOON).count("events") >= 1


async def test_an_old_history_keeps_its_dates_before_the_broker_has_counted_it(
    stream: Stream, monitor: Monitor
) -> None:
    """A short batch is not the end of the stream, and later entries were not just said."""
    stream.publish("CMD-1", CONFIRMED)
    stream.batch, stream.lag = 2, len(CONFIRMED)
    await monitor.read(stream)
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order
    assert (order.started, order.heard) == (START, START + dt.timedelta(milliseconds=CONFIRMED[-1].ms))


class Restless(Stream):
    """A stream that grows by an order whenever its end is asked for."""

    async def last(self) -> HistoryEntry | None:
        newest = await super().last()
        self.publish(f"NEWER-{self.next}", PLACED)
        return newest and self.kept[-1]


async def test_catching_up_with_a_growing_stream_ends_at_the_end_found_at_its_start(tmp_path: Path) -> None:
    stream = Restless()
    stream.publish("CMD-1", CONFIRMED)
    store = Store(tmp_path / "m.sqlite3", SAGAS)
    assert await catch_up(stream.opening(), store, 60) == []
    assert stream.next == len(CONFIRMED) + 1
    store.close()


async def test_a_stream_that_stops_before_its_end_is_reported(stream: Stream, tmp_path: Path) -> None:
    stream.publish("CMD-1", CONFIRMED)
    monitor, whole = Monitor(tmp_path / "m.sqlite3"), stream.kept
    stream.withheld = 2
    (notice,) = await catch_up(stream.opening(), monitor.store, 0.5)
    assert f"goes on after entry {len(whole) - 3}" in notice
    assert monitor.queries.totals(SOON).count("events") == len(whole) - 2
    monitor.close()


async def test_catching_up_waits_for_another_command(stream: Stream, tmp_path: Path) -> None:
    """The other command ends soon; if not, the notice does not call it a monitor."""
    stream.publish("CMD-1", PLACED)
    first, second = Store(tmp_path / "m.sqlite3", SAGAS), Monitor(tmp_path / "m.sqlite3")
    assert first.acquire(Writer.COMMAND)
    (notice,) = await catch_up(stream.opening(), second.store, 0.1)
    assert notice.startswith("another command")
    waiting = asyncio.create_task(catch_up(stream.opening(), second.store, 60))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    first.close()
    assert await waiting == []
    assert second.queries.totals(SOON).instances == 1
    second.close()


async def test_catching_up_beside_a_live_monitor_only_waits_for_it(stream: Stream, monitor: Monitor) -> None:
    beside = Store(monitor.path, SAGAS)
    assert not beside.acquire()
    assert len(await catch_up(stream.opening(), beside, 0.1)) == 1
    await monitor.read(stream)
    waiting = asyncio.create_task(catch_up(stream.opening(), beside, 60))
    await asyncio.sleep(0.05)
    stream.publish("CMD-1", PLACED)
    await monitor.read(stream)
    assert await waiting == []
    beside.close()


async def test_the_file_goes_to_the_next_monitor_when_its_writer_leaves(stream: Stream, tmp_path: Path) -> None:
    first, second = Monitor(tmp_path / "m.sqlite3"), Monitor(tmp_path / "m.sqlite3")
    assert first.store.acquire()
    following = asyncio.create_task(follow(stream.opening(), second.store, second))
    await _until(lambda: any("another monitor" in link for link in second.links))
    stream.publish("CMD-1", PLACED)
    first.close()
    await _until(lambda: second.queries.totals(SOON).instances == 1)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    second.close()


@pytest.mark.parametrize("kind", ["text", "foreign", "older", "folder"])
def test_another_program_s_file_is_refused_and_unchanged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "text":
        path.write_text("dear diary" * 100)
    elif kind == "folder":
        path.mkdir()
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE mine (x)")
            if kind == "older":
                connection.execute(f"PRAGMA application_id={0x43484F52}")
        connection.close()
    before = None if kind == "folder" else path.read_bytes()
    with pytest.raises(DatabaseRefused) as refusal:
        Store(path, SAGAS)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert kind == "folder" or path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


async def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited is in a file
            await asyncio.sleep(0.005)
