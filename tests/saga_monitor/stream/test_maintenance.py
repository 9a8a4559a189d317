"""The monitor waits for a file that is locked, and evaluates only a current one."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseRefused, read_settings
from saga_monitor.analysis.anomaly import Thresholds
from saga_monitor.console import anomaly_loop as judging
from saga_monitor.console.anomaly_loop import judge
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.stream import maintenance
from saga_monitor.stream.maintenance import keep_current, prune_periodically
from tests.saga_monitor.conftest import STUCK_AFTER, Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, Stream
from tests.support.order_saga import COMMAND, SAGAS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that waits only briefly for a locked file."""
    monkeypatch.setattr("saga_monitor.projection.schema.BUSY_SECONDS", 0.02)
    monkeypatch.setattr(maintenance, "DATABASE_SECONDS", 0.02)
    return tmp_path / "monitor.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, SAGAS)
    yield store
    store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@asynccontextmanager
async def beside(invocation: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(invocation)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a file tells nobody that it has changed
            await asyncio.sleep(0.01)


async def test_a_temporarily_locked_file_is_reported_and_awaited(stream: Stream, store: Store, path: Path) -> None:
    status, queries = ConsoleStatus(), Queries(path, STUCK_AFTER, SAGAS)
    stream.publish("CMD-1", HELD)
    async with beside(keep_current(stream.opening(), store, status)):
        await until(lambda: status.connection.word == "live")
        with locked(path):
            stream.publish("CMD-2", HELD)
            await until(lambda: status.connection.word == "database trouble")
            assert "locked" in status.connection.detail
        await until(
            lambda: status.connection.word == "live" and queries.totals(dt.datetime.now(dt.UTC)).instances == 2
        )
    queries.close()


async def test_a_file_that_is_locked_at_the_start_ends_the_monitor(
    stream: Stream, store: Store, path: Path
) -> None:
    with locked(path), pytest.raises(DatabaseRefused):
        await keep_current(stream.opening(), store, ConsoleStatus())


async def test_pruning_a_locked_file_is_tried_again(stream: Stream, store: Store, path: Path) -> None:
    stream.publish("CMD-1", CONFIRMED)
    status, queries = ConsoleStatus(), Queries(path, STUCK_AFTER, SAGAS)
    async with beside(keep_current(stream.opening(), store, status)):
        await until(lambda: queries.last_offset() == len(CONFIRMED) - 1)
    with locked(path):
        pruning = asyncio.create_task(prune_periodically(store, Thresholds(60, 6, command=COMMAND)))
        await asyncio.sleep(0.1)
        assert not pruning.done()
    await until(lambda: queries.totals(dt.datetime.now(dt.UTC)).instances == 0)
    pruning.cancel()
    await asyncio.gather(pruning, return_exceptions=True)
    queries.close()


@pytest.mark.parametrize("away", [False, True])
async def test_anomalies_are_looked_for_once_the_reading_has_caught_up(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """At the first opportunity, although the interval between two evaluations is long here."""
    monkeypatch.setattr(judging, "READY_SECONDS", 0.01)
    monkeypatch.setattr(judging, "JUDGING_SECONDS", 0.05 if away else 3600)
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    settings = read_settings({"SAGA_MONITOR_DATABASE": str(monitor.path)})
    stream.away, status = away, ConsoleStatus()
    async with beside(judge(stream.opening(), settings, Thresholds.of(settings, COMMAND), SAGAS, status)):
        status.link("reading")
        await asyncio.sleep(0.1)
        assert status.anomalies is None
        monitor.store.caught_up(dt.datetime.now(dt.UTC))
        await until(lambda: status.anomalies is not None)
    assert status.anomalies is not None
    assert [anomaly.key for anomaly in status.anomalies] == ["CMD-1"]


async def test_a_file_that_cannot_be_read_is_a_notice(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise DatabaseRefused("database is locked")

    monkeypatch.setattr(judging, "READY_SECONDS", 0.01)
    monkeypatch.setattr(Queries, "as_of", unreadable)
    settings = read_settings({"SAGA_MONITOR_DATABASE": str(monitor.path)})
    status = ConsoleStatus()
    async with beside(judge(stream.opening(), settings, Thresholds.of(settings, COMMAND), SAGAS, status)) as task:
        await until(lambda: bool(status.news(dt.datetime.now(dt.UTC))))
        assert not task.done()
    assert status.news(dt.datetime.now(dt.UTC)) == [("database is locked", "bold yellow")]


async def test_an_order_that_cannot_be_evaluated_does_not_end_the_console(
    stream: Stream, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def puzzled(*_: object) -> None:
        raise ZeroDivisionError("of a strange order")

    monkeypatch.setattr(judging, "JUDGING_SECONDS", 0.01)
    monkeypatch.setattr(judging, "anomalies_of", puzzled)
    settings = read_settings({"SAGA_MONITOR_DATABASE": str(monitor.path)})
    status = ConsoleStatus()
    status.link("live")
    monitor.store.caught_up(dt.datetime.now(dt.UTC))
    async with beside(judge(stream.opening(), settings, Thresholds.of(settings, COMMAND), SAGAS, status)) as task:
        await until(lambda: bool(status.news(dt.datetime.now(dt.UTC))))
        assert not task.done()
        ((news, _),) = status.news(dt.datetime.now(dt.UTC))
        assert news == "what is wrong could not be judged: ZeroDivisionError: of a strange order"
