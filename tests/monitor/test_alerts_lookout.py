"""The lookout goes on, whatever happens to the file, to the broker and to its own judgement."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from saga_monitor.alerting import lookout as module
from saga_monitor.alerting.lookout import Lookout, look_out
from saga_monitor.alerting.receivers import Receivers
from saga_monitor.books import schema
from services.runtime import Settings
from tests.monitor.stage import HELD
from tests.runtime.test_telemetry import free_port

if TYPE_CHECKING:
    from tests.monitor.conftest import Monitor
    from tests.monitor.stage import Stream


def settings(monitor: Monitor) -> Settings:
    nobody = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    return Settings(monitor_database=monitor.path, stuck_after=60, amqp_url=nobody)


async def test_a_fault_in_judging_is_said_and_the_next_look_judges(
    monitor: Monitor, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.tell("CMD-1", HELD)
    await monitor.hear(stream)
    watching = Lookout(settings(monitor), Receivers([]))
    with capture_logs() as logs, monkeypatch.context() as broken:
        broken.setattr(module, "anomalies_of", lambda *_: 1 / 0)
        await watching.look(None)
    assert [line["event"] for line in logs] == ["lookout.failed"]
    await watching.look(None)
    assert len(watching.view.anomalies) == 1
    watching.close()
    await watching.look(None)  # a look that was under way when it was closed


async def test_a_file_that_is_locked_for_too_long_is_said_and_tried_again(
    monitor: Monitor, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    stream.tell("CMD-1", HELD)
    await monitor.hear(stream)
    watching = Lookout(settings(monitor), Receivers([]))
    other = sqlite3.connect(monitor.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        await watching.look(None)
        other.close()
        await watching.look(None)
    assert [line["event"] for line in logs] == ["lookout.hindered", "alert.opened"]
    watching.close()


async def test_without_a_broker_it_still_judges_by_what_was_heard(monitor: Monitor, stream: Stream) -> None:
    stream.tell("CMD-1", HELD)
    await monitor.hear(stream)
    async with look_out(settings(monitor)) as watching:
        async with asyncio.timeout(10):
            while not watching.view.at:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.05)
        assert [anomaly.reason for anomaly in watching.view.anomalies] == ["unknown"]
    assert watching.receivers.counts["log", "told"] == 1
