"""Which transactions run in the event loop's own thread, and which on the database's."""

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from choregraphie import Settings
from choregraphie.pipeline import database_thread
from choregraphie.pipeline.database_thread import MOST_IN_PLACE, SHORT_SECONDS, DatabaseThread
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline


@pytest.fixture
def thread() -> Iterator[DatabaseThread]:
    with DatabaseThread("stock", on_file=True) as made:
        yield made


def test_a_small_transaction_on_a_file_may_run_in_place(thread: DatabaseThread) -> None:
    assert [thread.may_run_in_place(size) for size in (0, 1, MOST_IN_PLACE, MOST_IN_PLACE + 1)] == [
        True,
        True,
        True,
        False,
    ]


def test_no_transaction_on_a_server_runs_in_place() -> None:
    with DatabaseThread("stock", on_file=False) as thread:
        assert not thread.may_run_in_place(1)


def test_none_runs_in_place_beside_one_on_the_thread(thread: DatabaseThread) -> None:
    ends = [threading.Event(), threading.Event()]
    jobs = [thread.submit(end.wait) for end in ends]
    assert not thread.may_run_in_place(1)
    ends[0].set()
    jobs[0].result()
    assert not thread.may_run_in_place(1)
    ends[1].set()
    jobs[1].result()
    assert thread.may_run_in_place(1)


def test_a_job_that_is_cancelled_before_its_turn_hides_none_that_runs(thread: DatabaseThread) -> None:
    end = threading.Event()
    running, waiting = thread.submit(end.wait), thread.submit(end.wait)
    assert waiting.cancel()
    assert not thread.may_run_in_place(1)
    end.set()
    running.result()
    assert thread.may_run_in_place(1)


@pytest.mark.parametrize("raises", [False, True])
def test_after_a_slow_transaction_the_next_ones_run_on_the_thread_until_one_is_short(
    thread: DatabaseThread, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    now = 0.0

    def last(seconds: float) -> None:
        nonlocal now
        now += seconds
        if raises:
            raise OSError("stalled")

    monkeypatch.setattr(database_thread, "time", SimpleNamespace(monotonic=lambda: now))
    for seconds, allowed in ((SHORT_SECONDS * 2, False), (SHORT_SECONDS * 3, False), (SHORT_SECONDS / 2, True)):
        try:
            thread.timed(last, seconds)
        except OSError:
            assert raises
        assert thread.may_run_in_place(1) is allowed


async def test_a_delivery_is_committed_in_the_event_loops_thread_and_waits_its_turn_behind_the_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pipeline(settings) as run:
        commit, threads = run.context.store.commit_and_begin, list[bool]()

        def seen(group: Any, calling: Any, published: Any) -> Any:
            if group:
                threads.append(threading.current_thread() is threading.main_thread())
            return commit(group, calling, published)

        monkeypatch.setattr(run.context.store, "commit_and_begin", seen)
        first = run.session.deliver(order("C-1"))
        await until(lambda: run.session.acked == [first])
        with run.database_busy():
            second = run.session.deliver(order("C-2"))
            await asyncio.sleep(0.05)
            assert threads == [True]
        await until(lambda: run.session.acked == [first, second])
        assert threads == [True, False]
        await run.stop()
