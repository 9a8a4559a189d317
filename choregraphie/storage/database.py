"""A service's own database: opened, checked, upgraded, filled at first start; and its errors told apart."""

import contextlib
import sqlite3
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Integer, Table, Text, func, insert, select, update
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from choregraphie.errors import ChoregraphieError, DatabaseRefused, DatabaseUnavailable
from choregraphie.process.resources import is_short
from choregraphie.service.rows import Row
from choregraphie.service.service import Migration, Service
from choregraphie.settings import Settings
from choregraphie.storage.connect_errors import is_refusal, refuses_login
from choregraphie.storage.engine import (
    begin,
    database_url,
    engine_for,
    error_text,
    is_file,
    newer_url,
    without_secrets,
)
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.migrations import MIGRATIONS
from choregraphie.storage.outbox import OUTBOX
from choregraphie.storage.poison_log import TRIALS
from choregraphie.storage.postgresql import connection_parameters, schemas_of
from choregraphie.storage.sqlite_file import LockedFile

assert JOURNAL.metadata is OUTBOX.metadata is TRIALS.metadata is METADATA  # noqa: S101 - all of them must have been imported

IDENTITY = Table(
    "service",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("runtime_version", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

# PostgreSQL: serialization failure, deadlock; somebody else was faster. A lock that is not had in time (55P03) is
# trouble with the database: whoever holds it, no delivery is to blame.
_CONFLICTS = {"40001", "40P01"}
# PostgreSQL: a table or a right has been taken away under a worker; no delivery is to blame for it.
_MISSING = ("42501", "42P01", "42703", "3F000")
# PostgreSQL: the statement or its values are at fault, whatever class the driver gives the error: an unsupported
# feature, an exception that a trigger or a function raised, a limit of the program (appendix A of its manual).
_STATEMENT_ERRORS = ("0A", "21", "22", "2F", "38", "39", "44", "54", "P0")
_TAKEN = "another worker has this file; for several workers of a service use PostgreSQL"
# SQLite: what another connection or a little room will end.
_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}


class Conflict(ChoregraphieError):
    """Another transaction was faster; the same work done again will see what it did."""


class Database:
    """An open database, for one thread at a time. Close it to let another worker have the file."""

    def __init__(self, engine: Engine, file: LockedFile | None = None) -> None:
        self.engine = engine
        self._file = file
        self._kept: Connection | None = None
        # Every driver has the errors of PEP 249 under these names.
        self.driver: Any = engine.dialect.dbapi

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction, committed at the end of the block.

        Raises Conflict when it lost against another, DatabaseUnavailable when the database does not answer,
        DatabaseRefused when its file has been taken away.
        """
        try:
            with self._transaction() as connection:
                yield connection
        except (DBAPIError, self.driver.Error) as error:
            meaning = self._translated(error)
            if meaning is None:
                raise
            raise meaning from error

    def _transaction(self) -> contextlib.AbstractContextManager[Connection]:
        # A server may be gone since the last time: the pool asks first. A file is there, and takes less time than
        # the pool.
        return self._on_kept() if self.engine.dialect.name == "sqlite" else self.engine.begin()

    @contextlib.contextmanager
    def _on_kept(self) -> Iterator[Connection]:
        if self._kept is None:
            self._kept = self.engine.connect()
        with self._kept.begin():
            begin(self._kept, writing=True)
            yield self._kept
            # Before the commit: what is not committed is delivered again.
            if self._file is not None:
                self._file.check()

    def _translated(self, error: Exception) -> Conflict | DatabaseUnavailable | None:
        """What an error of the driver, or SQLAlchemy's around it, says to whoever holds the work. None: that the
        statement or its values are wrong, and not the database."""
        origin = getattr(error, "orig", error)
        state = str(getattr(origin, "sqlstate", None))
        if isinstance(origin, self.driver.IntegrityError) or state in _CONFLICTS:
            return Conflict(error_text(error))
        wrong = isinstance(origin, self.driver.DataError | self.driver.ProgrammingError)
        wrong = wrong or state.startswith(_STATEMENT_ERRORS)
        return None if wrong and not state.startswith(_MISSING) else DatabaseUnavailable(error_text(error))

    def refuses_login(self, error: Exception) -> bool:
        """Whether `trouble` is that the server refuses the user or the password. May connect once more."""
        origin = getattr(error.__cause__, "orig", None) or error.__cause__
        if origin is None or self.engine.dialect.name == "sqlite":
            return False
        return refuses_login(origin, connection_parameters(self.engine))

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self.engine.dispose()
        if self._file is not None:
            self._file.release()
            self._file = None


def open_database(service: Service, settings: Settings) -> Database:
    """Open the database of `service`, creating and filling it at first start, upgrading an older one.

    Raises DatabaseRefused when it cannot be used (unwritable, held by another worker, newer, damaged), and
    DatabaseUnavailable when it does not answer now (locked for a while, a full disk, a server that is away).
    """
    url = database_url(service.name, settings)
    file = LockedFile(Path(str(url.database)), _TAKEN) if is_file(url) else None
    engine = engine_for(url, newer_url=lambda: newer_url(service.name, settings))
    database = Database(engine, file)
    try:
        with database.begin() as connection:
            _check(connection, schemas_of(url))
            _prepare(connection, service, settings)
    except (DatabaseUnavailable, Conflict, DBAPIError, database.driver.Error) as error:
        database.close()
        if _is_transient(error, database.engine):
            raise DatabaseUnavailable(f"{without_secrets(url)}: {error_text(error)}") from error
        raise DatabaseRefused(f"{without_secrets(url)}: {error_text(error)}") from error
    except BaseException:
        database.close()
        raise
    return database


def business_state(service: Service, settings: Settings) -> dict[str, Any]:
    """The business state of `service`, read beside a running worker. Raises DatabaseRefused."""
    with open_for_reading(service, settings) as connection:
        return service.inspect(connection)


@contextlib.contextmanager
def open_for_reading(service: Service, settings: Settings) -> Iterator[Connection]:
    """A connection for looking, beside a running worker. Raises DatabaseRefused."""
    url = database_url(service.name, settings)
    if is_file(url) and not Path(str(url.database)).exists():
        raise DatabaseRefused(f"{without_secrets(url)}: no such database; has a worker of {service.name} run yet?")
    engine = engine_for(url, reading=True)
    try:
        with engine.connect() as connection:
            yield connection
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        raise DatabaseRefused(f"{without_secrets(url)}: {error_text(error)}") from error
    finally:
        engine.dispose()


def _is_transient(error: Exception, engine: Engine) -> bool:
    """Whether to wait and try again: another has the file, its disk is full, or the server does not answer."""
    cause = error.__cause__ or error
    origin = getattr(cause, "orig", None) or cause
    if engine.dialect.name == "sqlite":
        # SQLite cannot open a file that the process has no descriptor for, and gives no reason.
        return getattr(origin, "sqlite_errorcode", 0) & 0xFF in _TRANSIENT or is_short()
    return not is_refusal(origin, connection_parameters(engine))


def _check(connection: Connection, schemas: list[str]) -> None:
    if connection.dialect.name == "sqlite":
        answer = connection.exec_driver_sql("PRAGMA quick_check").scalar()
        if answer != "ok":
            raise DatabaseRefused(f"the database is damaged: {answer}")
        return
    # Several workers may start at once; one creates or upgrades, the others wait for it.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305190)")
    for schema in schemas:
        # The server passes over a schema that is missing, and would make the tables in the next one.
        if connection.execute(select(func.to_regnamespace(func.quote_ident(schema)))).scalar() is None:
            raise DatabaseRefused(f"SAGA_DATABASE_URL: search_path: this database has no schema {schema}")


def _prepare(connection: Connection, service: Service, settings: Settings) -> None:
    IDENTITY.create(connection, checkfirst=True)
    found = connection.execute(select(IDENTITY)).first()
    versions = {"runtime_version": 1 + len(MIGRATIONS), "version": 1 + len(service.migrations)}
    if found is None:
        METADATA.create_all(connection)
        service.tables.create_all(connection)
        connection.execute(insert(IDENTITY), {"name": service.name, **versions})
        _fill(connection, service, settings)
        return
    if found.name != service.name:
        raise DatabaseRefused(f"this is the database of {found.name}, not of {service.name}")
    _upgrade(connection, found.runtime_version, MIGRATIONS)
    _upgrade(connection, found.version, service.migrations)
    connection.execute(update(IDENTITY).values(versions))


def _upgrade(connection: Connection, version: int, migrations: tuple[Migration, ...]) -> None:
    if version > 1 + len(migrations):
        raise DatabaseRefused(f"the database is of version {version}; this program knows {1 + len(migrations)}")
    for migrate in migrations[version - 1 :]:
        migrate(connection)


def _fill(connection: Connection, service: Service, settings: Settings) -> None:
    try:
        rows: dict[type[Row], list[dict[str, Any]]] = {}
        for row in service.seed(read_catalogue(settings.catalogue)):
            rows.setdefault(type(row), []).append(row.values())
        for cls, values in rows.items():
            connection.execute(insert(cls.TABLE), values)
    except (OperationalError, DatabaseRefused):
        raise
    except (ArithmeticError, AttributeError, TypeError, ValueError, StatementError) as error:
        # A user wrote it: whatever in it makes no sense is theirs to change.
        raise DatabaseRefused(f"SAGA_CATALOGUE {settings.catalogue}: {error_text(error)}") from error


def read_catalogue(path: Path) -> dict[str, Any]:
    """The catalogue's tables, amounts as Decimal. Raises DatabaseRefused when the file cannot be used."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise DatabaseRefused(f"SAGA_CATALOGUE {path}: {detail}") from None
