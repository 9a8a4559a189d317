"""A service's own database: opened, checked, filled at first start; and its errors told apart."""

import contextlib
import fcntl
import os
import sqlite3
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Engine, Integer, Table, Text, event, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.pool import StaticPool

from services.runtime.errors import ChoregraphieError, DatabaseRefused, DatabaseTrouble
from services.runtime.inbox import METADATA
from services.runtime.journal import JOURNAL
from services.runtime.outbox import OUTBOX
from services.runtime.rows import Row
from services.runtime.service import Service
from services.runtime.settings import Settings

VERSION = 1
BUSY_SECONDS = 5
assert JOURNAL.metadata is OUTBOX.metadata is METADATA  # noqa: S101 - all of them must have been imported

IDENTITY = Table(
    "service", METADATA, Column("name", Text, primary_key=True), Column("version", Integer, nullable=False)
)

# PostgreSQL: serialization failure, deadlock, unique violation; somebody else was faster.
_CONFLICTS = {"40001", "40P01", "23505"}


class Conflict(ChoregraphieError):
    """Another transaction was faster; the same work done again will see what it did."""


class Database:
    """An open database. Close it to let another worker have the file."""

    def __init__(self, engine: Engine, lock: int | None = None) -> None:
        self.engine = engine
        self._lock = lock

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction, committed at the end of the block.

        Raises Conflict when it lost against another, DatabaseTrouble when the database does not answer.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise Conflict(_short(error)) from error
        except (DataError, ProgrammingError):
            raise  # the statement is wrong, not the database
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _CONFLICTS:
                raise Conflict(_short(error)) from error
            raise DatabaseTrouble(_short(error)) from error
        except sqlite3.Error as error:
            raise DatabaseTrouble(_short(error)) from error

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_database(service: Service, settings: Settings) -> Database:
    """Open the database of `service`, creating and filling it at first start.

    Raises DatabaseRefused when it cannot be used: unwritable, held by another worker, newer, damaged.
    """
    url = _url(service.name, settings)
    lock = _hold(url) if _is_file(url) else None
    database = Database(_engine(url), lock)
    try:
        with database.begin() as connection:
            _check(connection)
            METADATA.create_all(connection)
            service.tables.create_all(connection)
            if _is_new(connection, service):
                _fill(connection, service, settings)
    except (DatabaseTrouble, Conflict, DBAPIError) as error:
        database.close()
        raise DatabaseRefused(f"{_shown(url)}: {_short(error)}") from error
    except BaseException:
        database.close()
        raise
    return database


def look_into(service: Service, settings: Settings) -> dict[str, Any]:
    """The business state of `service`, read beside a running worker. Raises DatabaseRefused."""
    url = _url(service.name, settings)
    if _is_file(url) and not Path(str(url.database)).exists():
        raise DatabaseRefused(f"{_shown(url)}: there is no such database; has a worker of {service.name} run yet?")
    engine = _engine(url, reading=True)
    try:
        with engine.connect() as connection:
            return service.inspect(connection)
    except (DBAPIError, sqlite3.Error) as error:
        raise DatabaseRefused(f"{_shown(url)}: {_short(error)}") from error
    finally:
        engine.dispose()


def _url(service: str, settings: Settings) -> URL:
    try:
        url = make_url(settings.database_url.replace("{service}", service))
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise DatabaseRefused(
            "SAGA_DATABASE_URL is not a database URL such as sqlite:///var/{service}.sqlite3"
        ) from None
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _short(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    return " ".join(str(origin).split())[:300]


def _hold(url: URL) -> int:
    """One writing process per SQLite file: held by a lock that ends with the process, however it ends."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DatabaseRefused(f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise DatabaseRefused(
            f"{path}: another worker has this file; for several workers of a service use PostgreSQL"
        ) from None
    return lock


def _engine(url: URL, *, reading: bool = False) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=2, pool_pre_ping=True, connect_args=_postgresql_options(url))
    pool = {} if _is_file(url) else {"poolclass": StaticPool}
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        **pool,
    )
    # The driver would begin by itself, and as a reader: two writers upgrading at once end in "locked".
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            if not reading:
                connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql_options(url: URL) -> dict[str, Any]:
    options = "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
    return {"options": options, "connect_timeout": 5} if url.get_backend_name() == "postgresql" else {}


def _check(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        answer = connection.exec_driver_sql("PRAGMA quick_check").scalar()
        if answer != "ok":
            raise DatabaseRefused(f"the database is damaged: {answer}")


def _is_new(connection: Connection, service: Service) -> bool:
    found = connection.execute(select(IDENTITY)).first()
    if found is None:
        connection.execute(insert(IDENTITY), {"name": service.name, "version": VERSION})
        return True
    if found.name != service.name:
        raise DatabaseRefused(f"this is the database of {found.name}, not of {service.name}")
    if found.version > VERSION:
        raise DatabaseRefused(f"the database is of version {found.version}; this program knows {VERSION}")
    return False


def _fill(connection: Connection, service: Service, settings: Settings) -> None:
    rows: dict[type[Row], list[dict[str, Any]]] = {}
    for row in service.stocked_with(read_catalogue(settings.catalogue)):
        rows.setdefault(type(row), []).append(row.values())
    for cls, values in rows.items():
        connection.execute(insert(cls.TABLE), values)


def read_catalogue(path: Path) -> dict[str, Any]:
    """The catalogue's tables, amounts as Decimal. Raises DatabaseRefused when the file cannot be used."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise DatabaseRefused(f"SAGA_CATALOGUE {path}: {detail}") from None
