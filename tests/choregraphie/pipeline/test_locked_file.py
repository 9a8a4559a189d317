"""While another program locks the database, the event loop goes on: calls, signals and heartbeats."""

import sqlite3
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from choregraphie import Settings
from tests.support.fake_session import until
from tests.support.running_pipeline import RunningPipeline, order, running_pipeline


async def handled(run: RunningPipeline, key: str) -> None:
    tag = run.session.deliver(order(key))
    await until(lambda: tag in run.session.acked)


async def test_the_event_loop_goes_on_while_a_transaction_waits_for_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pipeline(settings) as run:
        begin, waiting = run.database.begin, threading.Event()

        def seen(**given: Any) -> Any:
            waiting.set()
            return begin(**given)

        for number in range(5):
            await handled(run, f"C-{number}")
        other = sqlite3.connect(str(run.database.engine.url.database), isolation_level=None)
        # What the worker does at its start is over, and the last transactions were short.
        monkeypatch.setattr(run.database, "begin", seen)
        other.execute("BEGIN EXCLUSIVE")
        with capture_logs() as logs:
            locked = run.session.deliver(order("LOCKED"))
            await until(waiting.is_set)
            # Had the event loop waited for the lock itself, it would have given up before it came here.
            other.rollback()
            await until(lambda: run.session.acked[-1] == locked)
        other.close()
        assert "database.unavailable" not in [line["event"] for line in logs]
        await run.stop()
