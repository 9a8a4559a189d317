"""The alerts that are open, kept in the monitor's file: a restart, or a second monitor, tells nobody twice."""

import dataclasses
import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saga_monitor.alerts import Alert, Notice, Open, Status, changes
from saga_monitor.books.schema import connect, instant, moment, refused


class AlertBook:
    """A connection of its own to the file at `path`. Raises DatabaseRefused when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path)

    def close(self) -> None:
        self._connection.close()

    def update(self, alerts: Mapping[str, Alert], now: dt.datetime, repeat: dt.timedelta) -> list[Notice]:
        """What is to be told, now that these alerts stand; noted as told, so that nobody tells it again.

        Noted before it is told: a monitor killed in between keeps silent until the repetition, and a receiver is
        never told twice. Raises DatabaseRefused when the file is locked for too long.
        """
        try:
            # Two monitors may share the file: reading and noting are one transaction.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                notices = self._update(alerts, now, repeat)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise refused(self._path, error) from error
        return notices

    def _update(self, alerts: Mapping[str, Alert], now: dt.datetime, repeat: dt.timedelta) -> list[Notice]:
        opened = self._opened()
        notices = list(changes(opened, alerts, now, repeat))
        told = {notice.alert.key for notice in notices}
        rows = [
            (
                key,
                _to_json(alert),
                instant(opened[key].opened_at if key in opened else now),
                instant(now if key in told else opened[key].told_at),
                instant(now),
            )
            for key, alert in alerts.items()
        ]
        self._connection.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)", rows)
        closed = [(notice.alert.key,) for notice in notices if notice.status is Status.CLOSED]
        self._connection.executemany("DELETE FROM alerts WHERE key = ?", closed)
        return notices

    def _opened(self) -> dict[str, Open]:
        rows = self._connection.execute("SELECT key, alert, opened_at, told_at, seen_at FROM alerts").fetchall()
        return {
            key: Open(_from_json(alert), _at(opened), _at(told), _at(seen))
            for key, alert, opened, told, seen in rows
        }


def _at(kept: int) -> dt.datetime:
    time = moment(kept)
    assert time is not None  # noqa: S101 - the columns are NOT NULL
    return time


def _to_json(alert: Alert) -> str:
    return json.dumps(dataclasses.asdict(alert) | {"since": instant(alert.since)})


def _from_json(text: str) -> Alert:
    kept: dict[str, Any] = json.loads(text)
    return Alert(**kept | {"orders": tuple(kept["orders"]), "since": moment(kept["since"])})
