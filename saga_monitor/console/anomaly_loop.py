"""Judges the console's anomalies every few seconds, with the state of the broker when it answers."""

import asyncio
import contextlib
import datetime as dt

from choregraphie import BrokerRefused, BrokerUnavailable, DatabaseRefused, Settings
from choregraphie.messaging import History
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.diagnosis.anomalies import Anomaly, Thresholds, anomalies_of
from saga_monitor.diagnosis.broker_anomalies import FirstSeen
from saga_monitor.diagnosis.grouping import within_usual_time
from saga_monitor.diagnosis.self_check import SelfCheck
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.records.broker_status import BrokerStatus, read_broker_status
from saga_monitor.stream.follower import OpenHistory

JUDGING_SECONDS = 5.0
READY_SECONDS = 0.25


async def judge(
    asking: OpenHistory, settings: Settings, thresholds: Thresholds, sagas: SagaSet, status: ConsoleStatus
) -> None:
    """Judge the anomalies into `status` until cancelled. `asking` opens a connection to the broker."""
    with contextlib.closing(Queries(settings.monitor_database, settings.stuck_after, sagas)) as queries:
        judging = _Judge(queries, settings, thresholds, status)
        while True:
            try:
                async with asking() as history:
                    while True:
                        seconds = await judging.look(history)
                        await asyncio.sleep(seconds)
            except (BrokerUnavailable, BrokerRefused):
                await judging.look(None)
                await asyncio.sleep(JUDGING_SECONDS)


class _Judge:
    def __init__(
        self, queries: Queries, settings: Settings, thresholds: Thresholds, status: ConsoleStatus
    ) -> None:
        self._queries, self._status = queries, status
        self._thresholds, self._settings = thresholds, settings
        self._sight, self._found = SelfCheck(), list[Anomaly]()
        self._first_seen = FirstSeen()
        self._broker_status: BrokerStatus | None = None
        self._judged_at: dt.datetime | None = None

    async def look(self, history: History | None) -> float:
        """Judge if the file is current. Returns the seconds until the next call."""
        ready, now = await self._ready(), dt.datetime.now(dt.UTC)
        blind = self._sight.check(answered=history is not None, caught_up=ready, now=now)
        if ready:
            sagas, before = self._queries.sagas, self._broker_status
            self._broker_status = (
                await read_broker_status(history, sagas, self._settings, before) if history else None
            )
            await self._judge(self._broker_status)
        if ready or blind:
            # The last known anomalies stay on the screen, below the one that says why they may be old.
            self._status.judged([*blind, *self._found], self._judged_at)
        return JUDGING_SECONDS if ready else READY_SECONDS

    async def _ready(self) -> bool:
        try:
            known = await run_in_thread(self._queries.as_of)
        except DatabaseRefused as error:
            self._status.notice(str(error))
            return False
        return self._status.connection.ready(known, dt.datetime.now(dt.UTC))

    async def _judge(self, answers: BrokerStatus | None) -> None:
        now = dt.datetime.now(dt.UTC)
        try:
            found = await run_in_thread(anomalies_of, self._queries, answers, now, self._thresholds)
            stuck = (await run_in_thread(self._queries.totals, now)).stuck
            self._status.in_time = within_usual_time(stuck, found, now, self._thresholds.stuck_after)
            self._found = self._first_seen.dated(found, now) if answers else found
        except DatabaseRefused as error:
            self._status.notice(str(error))
        except Exception as error:  # noqa: BLE001 - one strange instance must not end the console
            self._status.notice(f"what is wrong could not be judged: {type(error).__name__}: {error}")
        else:
            self._judged_at = now
