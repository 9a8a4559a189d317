"""The watcher goes on, whatever happens to the file, to the broker and to its own judgement."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.messaging import QueueCount
from saga_monitor.alerting import watcher as watcher_module
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import AlertWatcher, open_watcher
from saga_monitor.projection import schema
from services.application import APP
from tests.saga_monitor.diagnosis.test_anomalies import broker
from tests.saga_monitor.memory_stream import HELD, START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga_monitor.records.broker_status import BrokerStatus
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


def settings(monitor: Monitor) -> Settings:
    nobody = "amqp://guest:guest@127.0.0.1:1/"
    return Settings(monitor_database=monitor.path, stuck_after=60, amqp_url=nobody)


async def test_a_failure_in_judging_is_logged_and_the_next_check_judges(
    monitor: Monitor, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    watcher = AlertWatcher(APP, settings(monitor), Dispatcher([]))
    with capture_logs() as logs, monkeypatch.context() as broken:
        broken.setattr(watcher_module, "anomalies_of", lambda *_: 1 / 0)
        await watcher.check(None)
    assert [line["event"] for line in logs] == ["anomaly_check.failed"]
    await watcher.check(None)
    assert len(watcher.view.anomalies) == 1
    watcher.close()


async def test_a_file_that_is_locked_for_too_long_is_logged_and_tried_again(
    monitor: Monitor, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    watcher = AlertWatcher(APP, settings(monitor), Dispatcher([]))
    other = sqlite3.connect(monitor.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        await watcher.check(broker())
        other.close()
        await watcher.check(broker())
    assert [line["event"] for line in logs] == ["anomaly_check.database_unavailable", "alert.opened"]
    watcher.close()


async def test_without_a_broker_it_judges_by_what_was_read(monitor: Monitor, stream: Stream) -> None:
    """The anomaly is shown without an alert: the reason is not known, nor whether other orders are still stuck."""
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    async with open_watcher(APP, settings(monitor)) as watcher:
        async with asyncio.timeout(60):
            while not watcher.view.at:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.05)
        assert [anomaly.reason for anomaly in watcher.view.anomalies] == ["unknown"]
    assert watcher.dispatcher.counts["log", "delivered"] == 0


class ClockedMonitor:
    """A monitor that checks at times the test chooses, and the alerts that it logs."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.now = monitor, START + dt.timedelta(minutes=5)
        self.watcher = AlertWatcher(APP, settings(monitor), Dispatcher([]))

    async def read(self, stream: Stream) -> None:
        await self.monitor.read(stream)
        self.monitor.store.caught_up(self.now)

    async def check(
        self, answers: BrokerStatus | None, *, after_seconds: int = 10, caught_up: bool = True
    ) -> list[str]:
        self.now += dt.timedelta(seconds=after_seconds)
        if caught_up:
            self.monitor.store.caught_up(self.now)
        with capture_logs() as logs:
            await self.watcher.check(answers, self.now)
        return [f"{line['event']} {line['kind']} {line['reason']}" for line in logs]


@pytest.fixture
def clocked_monitor(monitor: Monitor) -> Iterator[ClockedMonitor]:
    clocked_monitor = ClockedMonitor(monitor)
    yield clocked_monitor
    clocked_monitor.watcher.close()


async def test_a_short_loss_of_the_broker_opens_and_closes_nothing(
    stream: Stream, clocked_monitor: ClockedMonitor
) -> None:
    stream.publish("CMD-1", HELD)
    stream.set_aside("stock", b"of hours ago", "unreadable")
    await clocked_monitor.read(stream)
    clocked_monitor.now += dt.timedelta(hours=3)
    there = broker(paiement_inbox=QueueCount(1, 0), stock_dlq=QueueCount(1, 0))
    opened = await clocked_monitor.check(there)
    assert opened == ["alert.opened stuck no_consumer", "alert.opened dead_letter unreadable"]
    for _ in range(5):
        assert await clocked_monitor.check(None) == []
    for _ in range(5):
        assert await clocked_monitor.check(there) == []
    assert sorted(await clocked_monitor.check(broker(), after_seconds=60)) == [
        "alert.closed dead_letter unreadable",
        "alert.closed stuck no_consumer",
        "alert.opened stuck unresponsive",
    ]


async def test_a_monitor_without_answers_reports_that_it_is_blind(
    stream: Stream, clocked_monitor: ClockedMonitor
) -> None:
    stream.publish("CMD-1", HELD)
    await clocked_monitor.read(stream)
    assert await clocked_monitor.check(broker()) == ["alert.opened stuck unresponsive"]
    told = [line for _ in range(12) for line in await clocked_monitor.check(None, caught_up=False)]
    assert told == ["alert.opened blind no_answer"]
    kinds = [anomaly.kind for anomaly in clocked_monitor.watcher.view.anomalies]
    assert kinds == ["blind", "stuck"]
    assert clocked_monitor.watcher.view.anomalies[0].sentence.startswith(
        "the monitor is blind, for the broker has not answered since 18:52:10 UTC: see whether it runs"
    )
    assert await clocked_monitor.check(broker()) == []
    assert await clocked_monitor.check(broker(), after_seconds=30) == ["alert.closed blind no_answer"]
    assert [anomaly.kind for anomaly in clocked_monitor.watcher.view.anomalies] == ["stuck"]


async def test_a_monitor_that_stays_behind_is_blind_too(stream: Stream, clocked_monitor: ClockedMonitor) -> None:
    stream.publish("CMD-1", HELD)
    await clocked_monitor.read(stream)
    ahead = replace(broker(), last_offset=500)
    clocked_monitor.now += dt.timedelta(hours=1)
    told = [
        line for _ in range(8) for line in await clocked_monitor.check(ahead, after_seconds=60, caught_up=False)
    ]
    assert told == ["alert.opened blind behind"]
    assert await clocked_monitor.check(broker(), after_seconds=30) == [
        "alert.opened stuck unresponsive",
        "alert.closed blind behind",
    ]
