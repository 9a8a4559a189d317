"""The table of open alerts and undelivered notices; `alerting` gives its rows their meaning."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from saga_monitor.projection.file_identity import Change, FileChanged, Identity, reopened
from saga_monitor.projection.schema import connect, instant, moment, refused


class AlertRow(NamedTuple):
    """`alert` is JSON."""

    key: str
    alert: str
    opened_at: dt.datetime
    told_at: dt.datetime
    seen_at: dt.datetime


class AlertTable:
    """A connection of its own to the file at `path`. Read and write within `writing()`."""

    def __init__(self, path: Path) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path = path
        self._connection, self._identity = connect(path), Identity(path)

    def close(self) -> None:
        self._connection.close()

    def rows(self) -> list[AlertRow]:
        rows = self._connection.execute("SELECT key, alert, opened_at, told_at, seen_at FROM alerts").fetchall()
        return [AlertRow(key, alert, *map(_at, times)) for key, alert, *times in rows]

    def save(self, row: AlertRow) -> None:
        values = (row.key, row.alert, *map(instant, (row.opened_at, row.told_at, row.seen_at)))
        self._connection.execute("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)", values)

    def delete(self, key: str) -> None:
        self._connection.execute("DELETE FROM alerts WHERE key = ?", (key,))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction for reading and writing: two monitors may share the file.

        Raises DatabaseRefused when the file is locked for too long, or is not the monitor's any more.
        """
        self._reopen_if_replaced()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise refused(self._path, error) from error

    def _reopen_if_replaced(self) -> None:
        change = self._identity.change()
        if change is Change.DAMAGED:
            raise FileChanged(self._path, change)
        if change is not None:
            self._connection, self._identity = reopened(self._path, self._connection, self._identity)


def _at(stored: int) -> dt.datetime:
    time = moment(stored)
    assert time is not None  # noqa: S101 - the columns are NOT NULL
    return time
