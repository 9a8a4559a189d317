"""While another program locks the database, the event loop goes on: calls, signals and heartbeats."""

import sqlite3
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from choregraphie import Settings
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline


async def test_the_event_loop_goes_on_while_a_transaction_waits_for_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pipeline(settings) as run:
        commit, waiting = run.context.store.commit_and_begin, threading.Event()

        def seen(*given: Any) -> Any:
            waiting.set()
            return commit(*given)

        await until(lambda: ("consume", ()) in run.session.actions)
        monkeypatch.setattr(run.context.store, "commit_and_begin", seen)
        other = sqlite3.connect(str(run.database.engine.url.database), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with capture_logs() as logs:
            tag = run.session.deliver(order("C-1"))
            await until(waiting.is_set)
            # Had the event loop waited for the lock itself, it would have given up before it came here.
            other.rollback()
            await until(lambda: run.session.acked == [tag])
        other.close()
        assert "database.troubled" not in [line["event"] for line in logs]
        await run.stop()
