"""Open alerts and undelivered notices, kept in the monitor's file across restarts."""

import dataclasses
import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saga_monitor.alerting.rules import ALL_KINDS, Alert, Notice, Open, Status, changes
from saga_monitor.projection.file_identity import Change, FileChanged, Identity, reopened
from saga_monitor.projection.schema import connect, instant, moment, refused

# A notice that its receiver has not taken by then is told to it again; its tries take less.
TAKEN_WITHIN = dt.timedelta(minutes=5)
# What is over is of no use to a receiver that was away for so long.
OWED_AT_MOST = dt.timedelta(days=1)

Told = tuple[str, Notice]


class AlertStore:
    """A connection of its own to the file at `path`. `receivers`: the names of those who must take all notices."""

    def __init__(self, path: Path, receivers: Sequence[str] = ()) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path, self._receivers = path, receivers
        self._connection, self._identity = connect(path), Identity(path)

    def close(self) -> None:
        self._connection.close()

    def update(
        self,
        alerts: Mapping[str, Alert],
        now: dt.datetime,
        repeat: dt.timedelta,
        judged: Collection[str] = ALL_KINDS,
    ) -> list[Notice]:
        """What is to be told, now that these alerts stand. Those of kinds that were not `judged` stay as they are.

        Noted before it is told, and owed to every receiver until it has taken it: `owed` tells again what a
        receiver dropped, or what a monitor killed in between told nobody. So a receiver may be told twice, under
        one `id`. Raises DatabaseRefused when the file is locked for too long.
        """
        with self._writing():
            return self._update({k: a for k, a in alerts.items() if a.kind in judged}, now, repeat, judged)

    def owed(self, taken: Iterable[Told], now: dt.datetime) -> list[Told]:
        """Strike out what was `taken`; what is to be told again, and to whom. Raises DatabaseRefused."""
        done = {(name, notice.id, notice.at) for name, notice in taken}
        again: list[Told] = []
        with self._writing():
            for key, kept in self._kept().items():
                notice = Notice(kept.status, kept.alert, kept.opened_at, kept.told_at)
                owed = {n: due for n, due in kept.owed.items() if (n, notice.id, notice.at) not in done}
                late = [name for name in self._receivers if name in owed and owed[name] <= now]
                again += [(name, notice) for name in late]
                self._settle(key, kept, owed | dict.fromkeys(late, now + TAKEN_WITHIN), now)
        return again

    def _update(
        self, alerts: Mapping[str, Alert], now: dt.datetime, repeat: dt.timedelta, judged: Collection[str]
    ) -> list[Notice]:
        opened = {key: kept for key, kept in self._kept().items() if kept.status is not Status.CLOSED}
        notices = list(changes(opened, alerts, now, repeat, judged))
        for key, kept in opened.items():
            if key in alerts or kept.alert.kind not in judged:
                self._keep(key, dataclasses.replace(kept, alert=alerts.get(key, kept.alert), seen_at=now))
        for notice in notices:
            owed = dict.fromkeys(self._receivers, now + TAKEN_WITHIN)
            told = Open(notice.alert, notice.opened_at, now, now, notice.alert.count, notice.status, owed)
            if notice.status is Status.CLOSED:
                self._forget(notice.alert.key)
                # Under its id, for an alert with the same key may be opened before this closing is taken.
                self._settle(notice.id, told, owed, now)
            else:
                self._keep(notice.alert.key, told)
        return notices

    def _settle(self, key: str, kept: Open, owed: Mapping[str, dt.datetime], now: dt.datetime) -> None:
        if kept.status is Status.CLOSED and (not owed or now - kept.told_at > OWED_AT_MOST):
            self._forget(key)
        else:
            self._keep(key, dataclasses.replace(kept, owed=owed))

    def _keep(self, key: str, kept: Open) -> None:
        row = (key, _to_json(kept), *map(instant, (kept.opened_at, kept.told_at, kept.seen_at)))
        self._connection.execute("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)", row)

    def _forget(self, key: str) -> None:
        self._connection.execute("DELETE FROM alerts WHERE key = ?", (key,))

    def _kept(self) -> dict[str, Open]:
        rows = self._connection.execute("SELECT key, alert, opened_at, told_at, seen_at FROM alerts").fetchall()
        return {key: _from_json(text, *map(_at, times)) for key, text, *times in rows}

    def _renew(self) -> None:
        """Go on in the file that is there now. Raises DatabaseRefused."""
        change = self._identity.change()
        if change is Change.DAMAGED:
            raise FileChanged(self._path, change)
        if change is not None:
            self._connection, self._identity = reopened(self._path, self._connection, self._identity)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Two monitors may share the file: reading and noting are one transaction."""
        self._renew()
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


def _at(kept: int) -> dt.datetime:
    time = moment(kept)
    assert time is not None  # noqa: S101 - the columns are NOT NULL
    return time


def _to_json(kept: Open) -> str:
    owed = {name: instant(due) for name, due in kept.owed.items()}
    alert = dataclasses.asdict(kept.alert) | {"since": instant(kept.alert.since)}
    return json.dumps(alert | {"told_count": kept.told_count, "status": kept.status, "owed": owed})


def _from_json(text: str, opened_at: dt.datetime, told_at: dt.datetime, seen_at: dt.datetime) -> Open:
    kept: dict[str, Any] = json.loads(text)
    # An alert that was kept before these were is open, and owed to nobody.
    told_count, status = kept.pop("told_count", kept["count"]), Status(kept.pop("status", Status.OPENED))
    owed = {name: _at(due) for name, due in kept.pop("owed", {}).items()}
    alert = Alert(**kept | {"orders": tuple(kept["orders"]), "since": moment(kept["since"])})
    return Open(alert, opened_at, told_at, seen_at, told_count, status, owed)
