"""Watches for anomalies while a monitor runs: asks the broker, judges, sends alerts, and feeds the metrics."""

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import structlog

from choregraphie import BrokerRefused, BrokerUnavailable, DatabaseRefused, Settings
from saga_monitor.alerting.dispatcher import Dispatcher, open_dispatcher
from saga_monitor.alerting.rules import Notice, alerts_of, judged_kinds
from saga_monitor.alerting.store import AlertStore, Redelivery
from saga_monitor.diagnosis.anomalies import Anomaly, Thresholds, anomalies_of
from saga_monitor.diagnosis.broker_anomalies import FirstSeen
from saga_monitor.diagnosis.grouping import Group, grouped, how_many, within_usual_time
from saga_monitor.diagnosis.self_check import UNKNOWN, Lag, SelfCheck, behind
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import BrokerStatus, open_to_ask, read_broker_status

log = structlog.get_logger()

CHECK_SECONDS = 10.0
CATCHING_UP_SECONDS = 2.0
# Events that were not read yet look like silence, so a monitor that is further behind judges nothing.
ABREAST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class View:
    """What the last check found. `anomalies` are those of the last check that could judge, and why none can now.

    `known`: whether this check could judge, and the broker answered. `in_time`: how many orders are STUCK without
    being an anomaly.
    """

    at: dt.datetime | None = None
    status: BrokerStatus | None = None
    behind: Lag = UNKNOWN
    anomalies: Sequence[Anomaly] = ()
    known: bool = False
    in_time: int = 0

    @property
    def groups(self) -> list[Group]:
        """The anomalies grouped, as pages show them and alerts report them."""
        return grouped(self.anomalies)

    @property
    def wrong(self) -> int:
        """How many things are wrong."""
        return how_many(self.anomalies)


class AlertWatcher:
    """Reads the file into which the history is read, and asks the broker."""

    def __init__(self, settings: Settings, receivers: Dispatcher) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self.view = View()
        self.dispatcher = receivers
        self._settings = settings
        self._terms = Thresholds.of(settings)
        self._repeat = dt.timedelta(seconds=settings.alert_repeat)
        self._queries = Queries(settings.monitor_database, settings.stuck_after)
        self._alerts = AlertStore(settings.monitor_database, receivers.names)
        self._self_check, self._first_seen, self._found = SelfCheck(), FirstSeen(), list[Anomaly]()
        self._in_time = 0
        # A check runs in a thread, which goes on when its task is cancelled; closing waits for it.
        self._busy, self._closed = threading.Lock(), False

    def close(self) -> None:
        """Close the file, after the check that is under way."""
        with self._busy:
            self._closed = True
            self._queries.close()
            self._alerts.close()

    async def run(self) -> None:
        """Check for ever, through every loss of the broker."""
        while True:
            try:
                async with open_to_ask(self._settings) as history:
                    while True:
                        await self.check(await read_broker_status(history, self._settings, self.view.status))
                        await asyncio.sleep(CHECK_SECONDS if _abreast(self.view.behind) else CATCHING_UP_SECONDS)
            except (BrokerUnavailable, BrokerRefused):
                await self.check(None)
                await asyncio.sleep(CHECK_SECONDS)

    async def check(self, answers: BrokerStatus | None, now: dt.datetime | None = None) -> None:
        """Judge once, given the broker's answers, and send the notices. `now` is the present by default."""
        now = now or dt.datetime.now(dt.UTC)
        try:
            self.view, notices, again = await asyncio.to_thread(self._look, answers, now)
        except DatabaseRefused as error:
            self.view = replace(self.view, known=False)
            log.error("lookout.hindered", error=str(error))
        except Exception:
            # One order that cannot be judged must not end the watch.
            self.view = replace(self.view, known=False)
            log.exception("lookout.failed")
        else:
            self.dispatcher.notify(notices)
            self.dispatcher.redeliver(again)

    def record_deliveries(self) -> None:
        """Store what was delivered since the last check. Raises DatabaseRefused."""
        with self._busy:
            self._alerts.redeliveries(self.dispatcher.delivered(), dt.datetime.now(dt.UTC))

    def _look(self, answers: BrokerStatus | None, now: dt.datetime) -> tuple[View, list[Notice], list[Redelivery]]:
        with self._busy:
            return (self.view, [], []) if self._closed else self._judge(answers, now)

    def _judge(
        self, answers: BrokerStatus | None, now: dt.datetime
    ) -> tuple[View, list[Notice], list[Redelivery]]:
        delay = behind(self._queries, answers, now)
        abreast = _abreast(delay)
        if abreast:
            found = anomalies_of(self._queries, answers, now, self._terms)
            stuck = self._queries.totals(now).stuck
            self._in_time = within_usual_time(stuck, found, now, self._terms.stuck_after)
            self._found = self._first_seen.dated(found, now) if answers else found
        seen = [*self._self_check.check(answered=answers is not None, caught_up=abreast, now=now), *self._found]
        kinds = judged_kinds(abreast=abreast, asked=answers is not None)
        again = self._alerts.redeliveries(self.dispatcher.delivered(), now)
        notices = self._alerts.update(alerts_of(seen, now), now, self._repeat, kinds)
        known = abreast and answers is not None
        return View(now, answers, delay, seen, known, self._in_time), notices, again


def _abreast(delay: Lag) -> bool:
    return delay.seconds is not None and delay.seconds <= ABREAST_SECONDS


@contextlib.asynccontextmanager
async def open_watcher(settings: Settings) -> AsyncIterator[AlertWatcher]:
    """A running watcher, with the notifiers that the settings name.

    Raises BadSetting when a notifier cannot be used, DatabaseRefused when the file cannot.
    """
    async with open_dispatcher(settings) as receivers:
        watcher = AlertWatcher(settings, receivers)
        tasks = [asyncio.ensure_future(work) for work in (watcher.run(), receivers.run())]
        try:
            yield watcher
            await receivers.finish()
            with contextlib.suppress(DatabaseRefused):
                await asyncio.to_thread(watcher.record_deliveries)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            watcher.close()
