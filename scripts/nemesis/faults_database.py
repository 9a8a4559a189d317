"""Faults of the databases: a lock, a full disk, a killed server."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.nemesis.targets import Targets

CHUNK = b"\0" * 65536


class Locked:
    """Another connection locks a service's database and stays idle."""

    def __init__(self) -> None:
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None

    def start(self, targets: Targets) -> None:
        service = targets.rng.choice(targets.environment.saga.services)
        url = sa.make_url(targets.environment.database_url.replace("{service}", service))
        sqlite = url.get_backend_name() == "sqlite"
        if not sqlite:
            url = url.set(drivername="postgresql+psycopg")
        # SQLite: `stop` may run in another thread than `start`.
        options = {"timeout": 20, "check_same_thread": False} if sqlite else {"connect_timeout": 5}
        self._engine = sa.create_engine(url, connect_args=options)
        with contextlib.suppress(sa.exc.DBAPIError):  # too busy or away: then nothing is locked
            self._connection = self._engine.connect()
            if sqlite:
                self._connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                self._connection.exec_driver_sql("LOCK TABLE inbox, outbox, journal IN ACCESS EXCLUSIVE MODE")

    def stop(self, targets: Targets) -> None:
        with contextlib.suppress(sa.exc.DBAPIError):
            if self._connection is not None:
                self._connection.exec_driver_sql("ROLLBACK")
                self._connection.close()
        if self._engine is not None:
            self._engine.dispose()


class DiskFull:
    """The disk of the databases is filled to the last byte."""

    def __init__(self) -> None:
        self._file: Path | None = None

    def start(self, targets: Targets) -> None:
        if targets.ballast is None:
            return
        self._file = targets.ballast
        try:
            with targets.ballast.open("wb", buffering=0) as file:
                while file.write(CHUNK) == len(CHUNK):
                    pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def stop(self, targets: Targets) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)


class PostgresKill:
    """The database server and all its processes are killed at once."""

    def start(self, targets: Targets) -> None:
        if targets.postgres is not None:
            targets.postgres.kill()

    def stop(self, targets: Targets) -> None:
        if targets.postgres is not None:
            targets.postgres.start()
