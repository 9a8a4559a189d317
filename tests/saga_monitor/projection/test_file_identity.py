"""A monitor notices, reports and repairs damage to its file: deleted, replaced, truncated."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saga_monitor.stream.follower import follow
from saga_monitor.stream.maintenance import keep_current
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, PLACED, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def following(stream: Stream, monitor: Monitor) -> AsyncIterator[None]:
    task = asyncio.create_task(follow(stream.opening(), monitor.store, monitor))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def known(monitor: Monitor) -> int:
    return monitor.queries.totals(SOON).instances


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited is in a file
            await asyncio.sleep(0.01)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\x5a" * (size - 1000))
        file.truncate(size - 1000)


def unlink(path: Path) -> None:
    path.unlink()


def unlink_with_all(path: Path) -> None:
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}.lock"):
        Path(name).unlink()


def replace_by_an_empty_one(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    other.replace(path)


def unlink_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def unlink_beside(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()


def unlink_lock(path: Path) -> None:
    Path(f"{path}.lock").unlink()


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        overwrite,
        unlink,
        unlink_with_all,
        replace_by_an_empty_one,
        unlink_wal,
        unlink_beside,
        unlink_lock,
    ],
)
async def test_a_running_monitor_reports_and_repairs_a_damaged_file(
    stream: Stream, monitor: Monitor, harm: Callable[[Path], None]
) -> None:
    stream.publish("CMD-1", CONFIRMED)
    async with following(stream, monitor):
        await eventually(lambda: known(monitor) == 1)
        harm(monitor.path)
        await eventually(lambda: bool(monitor.notices))
        stream.publish("CMD-2", PLACED)
        await eventually(lambda: another(monitor) == 2)
        assert str(monitor.path) in monitor.notices[0]
        assert "database trouble" in " ".join(monitor.links)
        await eventually(lambda: known(monitor) == 2)
    rival = Monitor(monitor.path)
    assert not rival.store.acquire()
    rival.close()


def another(monitor: Monitor) -> int:
    """What a new reader of the file sees."""
    reader = Monitor(monitor.path)
    try:
        return known(reader)
    finally:
        reader.close()


@pytest.mark.parametrize("harm", [unlink_wal, unlink_beside])
async def test_events_that_the_stream_has_lost_survive_the_loss_of_the_write_ahead_log(
    stream: Stream, monitor: Monitor, harm: Callable[[Path], None]
) -> None:
    stream.publish("CMD-1", CONFIRMED)
    await monitor.read(stream)
    stream.trim(len(CONFIRMED))
    async with following(stream, monitor):
        harm(monitor.path)
        await eventually(lambda: bool(monitor.notices))
        stream.publish("CMD-2", PLACED)
        await eventually(lambda: another(monitor) == 2)
    assert "was saved" in monitor.notices[0]


async def test_another_program_s_file_in_its_place_is_reported_until_it_is_gone(
    stream: Stream, monitor: Monitor
) -> None:
    status: Any = monitor  # without a screen, all that `keep_current` asks of a console's status is in it
    status.ever_read = True
    stream.publish("CMD-1", CONFIRMED)
    task = asyncio.create_task(keep_current(stream.opening(), monitor.store, status))
    await eventually(lambda: known(monitor) == 1)
    other = monitor.path.with_name("other")
    other.write_text("dear diary" * 500)
    other.replace(monitor.path)
    await eventually(lambda: any("not a database" in link for link in monitor.links))
    assert monitor.path.read_text().startswith("dear diary")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_two_paths_to_one_file_share_one_lock(monitor: Monitor, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite3"
    link.symlink_to(monitor.path)
    beside = Monitor(link)
    assert not beside.store.acquire()
    beside.close()
