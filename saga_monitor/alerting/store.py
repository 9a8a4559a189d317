"""Stores open alerts and undelivered notices in the monitor's file, so that they outlast a restart."""

import dataclasses
import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from choregraphie.saga.envelope import Instance
from saga_monitor.alerting.rules import ALL_KINDS, Alert, Notice, OpenAlert, Status, changes
from saga_monitor.projection.alert_table import AlertRow, AlertTable
from saga_monitor.projection.schema import instant, moment

# A notice that its notifier has not taken by then is sent again. A notifier's tries take less time together.
REDELIVER_AFTER = dt.timedelta(minutes=5)
# A closing is of no use to a receiver that was away for longer.
KEEP_UNDELIVERED = dt.timedelta(days=1)

Redelivery = tuple[str, Notice]


class AlertStore:
    """A connection of its own to the file at `path`. `notifiers`: their names."""

    def __init__(self, path: Path, notifiers: Sequence[str] = ()) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._table, self._notifiers = AlertTable(path), notifiers

    def close(self) -> None:
        self._table.close()

    def update(
        self,
        alerts: Mapping[str, Alert],
        now: dt.datetime,
        repeat: dt.timedelta,
        judged_kinds: Collection[str] = ALL_KINDS,
    ) -> list[Notice]:
        """The notices to send, given the alerts there are now. Alerts of other kinds than `judged_kinds` stay.

        Notices are stored before they are sent, as undelivered to each notifier. `redeliveries` returns those that
        a notifier dropped, or that a killed monitor never sent. So a notifier may send a notice twice, with one
        `id`. Raises DatabaseRefused when the file is locked for too long.
        """
        with self._table.writing():
            return self._update(
                {k: a for k, a in alerts.items() if a.kind in judged_kinds}, now, repeat, judged_kinds
            )

    def redeliveries(self, delivered: Iterable[Redelivery], now: dt.datetime) -> list[Redelivery]:
        """Note what was `delivered`; returns the notices to send again, and by whom. Raises DatabaseRefused."""
        done = {(name, notice.id, notice.at) for name, notice in delivered}
        again: list[Redelivery] = []
        with self._table.writing():
            for key, stored in self._load().items():
                notice = Notice(stored.status, stored.alert, stored.opened_at, stored.told_at)
                undelivered = {
                    n: due for n, due in stored.undelivered.items() if (n, notice.id, notice.at) not in done
                }
                late = [name for name in self._notifiers if name in undelivered and undelivered[name] <= now]
                again += [(name, notice) for name in late]
                self._save_or_delete(key, stored, undelivered | dict.fromkeys(late, now + REDELIVER_AFTER), now)
        return again

    def _update(
        self, alerts: Mapping[str, Alert], now: dt.datetime, repeat: dt.timedelta, judged_kinds: Collection[str]
    ) -> list[Notice]:
        opened = {key: stored for key, stored in self._load().items() if stored.status is not Status.CLOSED}
        notices = list(changes(opened, alerts, now, repeat, judged_kinds))
        for key, stored in opened.items():
            if key in alerts or stored.alert.kind not in judged_kinds:
                self._save(key, dataclasses.replace(stored, alert=alerts.get(key, stored.alert), seen_at=now))
        for notice in notices:
            undelivered = dict.fromkeys(self._notifiers, now + REDELIVER_AFTER)
            opened_alert = OpenAlert(
                notice.alert, notice.opened_at, now, now, notice.alert.count, notice.status, undelivered
            )
            if notice.status is Status.CLOSED:
                self._table.delete(notice.alert.key)
                # Stored under its id: an alert with the same key may open before this closing is delivered.
                self._save_or_delete(notice.id, opened_alert, undelivered, now)
            else:
                self._save(notice.alert.key, opened_alert)
        return notices

    def _save_or_delete(
        self, key: str, stored: OpenAlert, undelivered: Mapping[str, dt.datetime], now: dt.datetime
    ) -> None:
        if stored.status is Status.CLOSED and (not undelivered or now - stored.told_at > KEEP_UNDELIVERED):
            self._table.delete(key)
        else:
            self._save(key, dataclasses.replace(stored, undelivered=undelivered))

    def _save(self, key: str, stored: OpenAlert) -> None:
        self._table.save(AlertRow(key, _to_json(stored), stored.opened_at, stored.told_at, stored.seen_at))

    def _load(self) -> dict[str, OpenAlert]:
        return {
            row.key: _from_json(row.alert, row.opened_at, row.told_at, row.seen_at) for row in self._table.rows()
        }


def _at(stored: int) -> dt.datetime:
    time = moment(stored)
    assert time is not None  # noqa: S101 - the columns are NOT NULL
    return time


def _to_json(stored: OpenAlert) -> str:
    undelivered = {name: instant(due) for name, due in stored.undelivered.items()}
    alert = dataclasses.asdict(stored.alert) | {"since": instant(stored.alert.since)}
    return json.dumps(alert | {"told_count": stored.told_count, "status": stored.status, "owed": undelivered})


def _from_json(text: str, opened_at: dt.datetime, told_at: dt.datetime, seen_at: dt.datetime) -> OpenAlert:
    stored: dict[str, Any] = json.loads(text)
    # An alert stored by an older version lacks these: it is open, and no notice is undelivered.
    told_count, status = stored.pop("told_count", stored["count"]), Status(stored.pop("status", Status.OPENED))
    undelivered = {name: _at(due) for name, due in stored.pop("owed", {}).items()}
    instances = tuple(Instance(*instance) for instance in stored["instances"])
    alert = Alert(**stored | {"instances": instances, "since": moment(stored["since"])})
    return OpenAlert(alert, opened_at, told_at, seen_at, told_count, status, undelivered)
