"""Work in a thread ends before its caller does, so that the file can be closed after the caller."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from choregraphie import Settings
from saga_monitor.alerting import watcher as watching
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import AlertWatcher
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.console.anomaly_loop import judge
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.threads import run_in_thread
from services.application import APP
from tests.saga_monitor.memory_stream import Stream
from tests.support.order_saga import COMMAND, SAGAS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Work:
    """Work that goes on until it may end."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), False

    def __call__(self, *_: object) -> None:
        self.begun.set()
        assert self.may_end.wait(60)
        self.ended = True


async def cancel_in_the_middle(task: asyncio.Task[None], work: Work) -> None:
    """Cancel the task twice while `work` goes on: it ends after the work, and is cancelled."""
    async with asyncio.timeout(60):
        assert await asyncio.to_thread(work.begun.wait, 20)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        work.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert work.ended


async def test_a_cancelled_caller_waits_for_its_thread() -> None:
    work = Work()
    await cancel_in_the_middle(asyncio.create_task(run_in_thread(work)), work)


async def test_a_result_and_an_error_reach_the_caller() -> None:
    assert await run_in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(divmod, 7, 0)


async def test_a_console_that_ends_while_it_reads_closes_the_file_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed under the reading thread, SQLite would crash the process."""
    work = Work()
    closings = watch_closing(monkeypatch, lambda: work.ended)
    monkeypatch.setattr(Queries, "as_of", work)
    settings = Settings(monitor_database=tmp_path / "monitor.sqlite3")
    thresholds = Thresholds.of(settings, COMMAND)
    judging = judge(Stream().opening(), settings, thresholds, SAGAS, ConsoleStatus())
    await cancel_in_the_middle(asyncio.create_task(judging), work)
    assert closings == [True]


async def test_a_watcher_that_ends_while_it_judges_ends_after_its_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work()
    monkeypatch.setattr(watching, "behind", work)
    nobody = "amqp://guest:guest@127.0.0.1:1/"
    settings = Settings(monitor_database=tmp_path / "monitor.sqlite3", amqp_url=nobody)
    watcher = AlertWatcher(APP, settings, Dispatcher([]))
    await cancel_in_the_middle(asyncio.create_task(watcher.run()), work)
    watcher.close()


def watch_closing(monkeypatch: pytest.MonkeyPatch, is_safe: Callable[[], bool]) -> list[bool]:
    """For each closing of queries from now on, whether it was safe."""
    close, closings = Queries.close, list[bool]()

    def watched(queries: Queries) -> None:
        closings.append(is_safe())
        close(queries)

    monkeypatch.setattr(Queries, "close", watched)
    return closings
