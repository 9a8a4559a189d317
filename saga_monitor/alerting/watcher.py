"""Watches for anomalies while a monitor runs: asks the broker, judges, sends alerts, and feeds the metrics."""

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from choregraphie import BrokerRefused, BrokerUnavailable, DatabaseRefused, Settings
from choregraphie.application import Application
from saga_monitor.alerting.dispatcher import Dispatcher, open_dispatcher
from saga_monitor.alerting.rules import Notice, alerts_of, judged_kinds
from saga_monitor.alerting.store import AlertStore, Redelivery
from saga_monitor.diagnosis.anomalies import Anomaly, Thresholds, anomalies_of
from saga_monitor.diagnosis.broker_anomalies import FirstSeen
from saga_monitor.diagnosis.grouping import Group, grouped, within_usual_times
from saga_monitor.diagnosis.self_check import UNKNOWN, Lag, SelfCheck, behind
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.threads import run_in_thread
from saga_monitor.records.broker_status import BrokerStatus, open_to_ask, read_broker_status

log = structlog.get_logger()

CHECK_SECONDS = 10.0
CATCHING_UP_SECONDS = 2.0
# Events that were not read yet look like silence, so a monitor that is further behind judges nothing.
MAX_LAG_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class View:
    """What the last check found. `anomalies` are those of the last check that could judge, and why none can now.

    `known`: whether this check could judge, and the broker answered. `in_time`: how many instances of each saga,
    and of all under None, are STUCK without being an anomaly.
    """

    at: dt.datetime | None = None
    status: BrokerStatus | None = None
    behind: Lag = UNKNOWN
    anomalies: Sequence[Anomaly] = ()
    known: bool = False
    in_time: Mapping[str | None, int] = field(default_factory=dict)

    @property
    def groups(self) -> list[Group]:
        """The anomalies grouped, as pages show them and alerts report them."""
        return grouped(self.anomalies)


class AlertWatcher:
    """Reads the file into which the history is read, and asks the broker."""

    def __init__(self, application: Application, settings: Settings, dispatcher: Dispatcher) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self.view = View()
        self.dispatcher = dispatcher
        self._settings = settings
        self._sagas = application.saga_set
        self._thresholds = Thresholds.of(settings, application.command)
        self._repeat = dt.timedelta(seconds=settings.alert_repeat)
        self._queries = Queries(settings.monitor_database, settings.stuck_after, self._sagas)
        self._alerts = AlertStore(settings.monitor_database, dispatcher.names)
        self._self_check, self._first_seen, self._found = SelfCheck(), FirstSeen(), list[Anomaly]()
        self._in_time: Mapping[str | None, int] = {}
        # A check and the recording of deliveries each run in a thread.
        self._busy = threading.Lock()

    def close(self) -> None:
        """Close the file. `run` has ended before."""
        self._queries.close()
        self._alerts.close()

    async def run(self) -> None:
        """Check for ever, through every loss of the broker."""
        while True:
            try:
                async with open_to_ask(self._settings) as history:
                    while True:
                        known = self.view.status
                        await self.check(await read_broker_status(history, self._sagas, self._settings, known))
                        await asyncio.sleep(CHECK_SECONDS if _caught_up(self.view.behind) else CATCHING_UP_SECONDS)
            except (BrokerUnavailable, BrokerRefused):
                await self.check(None)
                await asyncio.sleep(CHECK_SECONDS)

    async def check(self, answers: BrokerStatus | None, now: dt.datetime | None = None) -> None:
        """Judge once, given the broker's answers, and send the notices. `now` is the present by default."""
        now = now or dt.datetime.now(dt.UTC)
        try:
            self.view, notices, again = await run_in_thread(self._look, answers, now)
        except DatabaseRefused as error:
            self.view = replace(self.view, known=False)
            log.error("anomaly_check.database_unavailable", error=str(error))
        except Exception:
            # One instance that cannot be judged must not end the watch.
            self.view = replace(self.view, known=False)
            log.exception("anomaly_check.failed")
        else:
            self.dispatcher.notify(notices)
            self.dispatcher.redeliver(again)

    def record_deliveries(self) -> None:
        """Store what was delivered since the last check. Raises DatabaseRefused."""
        with self._busy:
            self._alerts.redeliveries(self.dispatcher.delivered(), dt.datetime.now(dt.UTC))

    def _look(self, answers: BrokerStatus | None, now: dt.datetime) -> tuple[View, list[Notice], list[Redelivery]]:
        with self._busy:
            return self._judge(answers, now)

    def _judge(
        self, answers: BrokerStatus | None, now: dt.datetime
    ) -> tuple[View, list[Notice], list[Redelivery]]:
        delay = behind(self._queries, answers, now)
        caught_up = _caught_up(delay)
        if caught_up:
            found = anomalies_of(self._queries, answers, now, self._thresholds)
            self._in_time = within_usual_times(self._queries, found, now, self._thresholds.stuck_after)
            self._found = self._first_seen.dated(found, now) if answers else found
        seen = [*self._self_check.check(answered=answers is not None, caught_up=caught_up, now=now), *self._found]
        kinds = judged_kinds(caught_up=caught_up, asked=answers is not None)
        again = self._alerts.redeliveries(self.dispatcher.delivered(), now)
        notices = self._alerts.update(alerts_of(seen, now), now, self._repeat, kinds)
        known = caught_up and answers is not None
        return View(now, answers, delay, seen, known, self._in_time), notices, again


def _caught_up(delay: Lag) -> bool:
    return delay.seconds is not None and delay.seconds <= MAX_LAG_SECONDS


@contextlib.asynccontextmanager
async def open_watcher(application: Application, settings: Settings) -> AsyncIterator[AlertWatcher]:
    """A running watcher, with the notifiers that the settings name.

    Raises BadSetting when a notifier cannot be used, DatabaseRefused when the file cannot.
    """
    async with open_dispatcher(settings, application.saga_set) as dispatcher:
        watcher = AlertWatcher(application, settings, dispatcher)
        tasks = [asyncio.ensure_future(work) for work in (watcher.run(), dispatcher.run())]
        try:
            yield watcher
            await dispatcher.finish()
            with contextlib.suppress(DatabaseRefused):
                await run_in_thread(watcher.record_deliveries)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            watcher.close()
