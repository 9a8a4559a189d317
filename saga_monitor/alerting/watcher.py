"""Looks out for trouble while a monitor runs: asks the broker, judges, tells of alerts, feeds the metrics."""

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
from saga_monitor.records.broker_status import BrokerStatus, facts, open_to_ask

log = structlog.get_logger()

CHECK_SECONDS = 10.0
CATCHING_UP_SECONDS = 2.0
# What was not read yet looks like silence: nothing is judged by a monitor that is further behind.
ABREAST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class View:
    """What the last look saw. `anomalies` are of the last look that could judge; that none can now is one too.

    `known`: whether this look could judge, and the broker answered. `in_time`: how many orders are STUCK and no
    anomaly.
    """

    at: dt.datetime | None = None
    facts: BrokerStatus | None = None
    behind: Lag = UNKNOWN
    anomalies: Sequence[Anomaly] = ()
    known: bool = False
    in_time: int = 0

    @property
    def groups(self) -> list[Group]:
        """The anomalies as a person reads them, and as alerts tell them."""
        return grouped(self.anomalies)

    @property
    def wrong(self) -> int:
        """How many things are wrong."""
        return how_many(self.anomalies)


class AlertWatcher:
    """Reads the file into which somebody else reads the history, and asks the broker."""

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
        # A look is on a thread, and goes on when its task is cancelled; closing waits for it.
        self._busy, self._closed = threading.Lock(), False

    def close(self) -> None:
        with self._busy:
            self._closed = True
            self._queries.close()
            self._alerts.close()

    async def run(self) -> None:
        """Look, for ever, through every loss of the broker."""
        while True:
            try:
                async with open_to_ask(self._settings) as history:
                    while True:
                        await self.check(await facts(history, self._settings, self.view.facts))
                        await asyncio.sleep(CHECK_SECONDS if _abreast(self.view.behind) else CATCHING_UP_SECONDS)
            except (BrokerUnavailable, BrokerRefused):
                await self.check(None)
                await asyncio.sleep(CHECK_SECONDS)

    async def check(self, answers: BrokerStatus | None, now: dt.datetime | None = None) -> None:
        """Judge once, knowing what the broker says, and tell of what has changed; as of `now` when it is said."""
        now = now or dt.datetime.now(dt.UTC)
        try:
            self.view, notices, again = await asyncio.to_thread(self._look, answers, now)
        except DatabaseRefused as error:
            self.view = replace(self.view, known=False)
            log.error("lookout.hindered", error=str(error))
        except Exception:
            # One order that cannot be judged must not make the watch blind to all that comes after it.
            self.view = replace(self.view, known=False)
            log.exception("lookout.failed")
        else:
            self.dispatcher.notify(notices)
            self.dispatcher.redeliver(again)

    def record_deliveries(self) -> None:
        """Note what receivers have taken since the last look. Raises DatabaseRefused."""
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
    """A lookout at work, with the receivers that the settings name.

    Raises BadSetting when a receiver cannot be used, DatabaseRefused when the file cannot.
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
