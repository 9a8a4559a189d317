"""A service's own database: opens, checks, upgrades and fills it, and translates the driver's errors."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from choregraphie.errors import ChoregraphieError, DatabaseRefused, DatabaseUnavailable
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.catalogue import fill
from choregraphie.storage.engine import (
    begin,
    database_url,
    engine_for,
    error_text,
    is_file,
    is_missing,
    newer_url,
    not_opened,
    refusal,
    without_secrets,
)
from choregraphie.storage.identity import IDENTITY, check_owner, versions_of
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.joins import JOINS
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.migrations import upgrade, upgrade_engine
from choregraphie.storage.outbox import OUTBOX
from choregraphie.storage.poison_log import TRIALS
from choregraphie.storage.sqlite_file import LockedFile

assert JOINS.metadata is JOURNAL.metadata is OUTBOX.metadata is TRIALS.metadata is METADATA  # noqa: S101 - all of them must have been imported

# PostgreSQL: serialization failure, deadlock; another transaction was faster. A lock timeout (55P03) means that
# the database is unavailable: whoever holds the lock, no delivery is to blame.
_CONFLICTS = {"40001", "40P01"}
# PostgreSQL: a table or a right was removed while a worker runs; no delivery is to blame.
_MISSING = ("42501", "42P01", "42703", "3F000")
# PostgreSQL: the statement or its values are at fault, whatever class the driver's error has: an unsupported
# feature, an exception of a trigger or a function, a program limit (PostgreSQL's manual, appendix A).
_STATEMENT_ERRORS = ("0A", "21", "22", "2F", "38", "39", "44", "54", "P0")
_TAKEN = "another worker has this file; for several workers of a service use PostgreSQL"


class Conflict(ChoregraphieError):
    """Another transaction was faster. The same work done again sees what that one wrote."""


class Database:
    """An open database, for one thread at a time. Closing it unlocks the file for another worker."""

    def __init__(self, engine: Engine, file: LockedFile | None = None) -> None:
        self.engine = engine
        self._file = file
        self._connection: Connection | None = None
        # The driver's module has the exceptions of PEP 249.
        self.driver: Any = engine.dialect.dbapi

    @contextlib.contextmanager
    def begin(self, *, by_key: bool = False) -> Iterator[Connection]:
        """A transaction, committed at the end of the block. `by_key`: it finds rows by their keys alone.

        Raises Conflict when it lost against another transaction, DatabaseUnavailable when the database does not
        answer, DatabaseRefused when the database's file was removed or replaced.
        """
        try:
            with self._transaction(by_key) as connection:
                yield connection
        except (DBAPIError, self.driver.Error) as error:
            meaning = self._translated(error)
            if meaning is None:
                raise
            raise meaning from error

    def _transaction(self, by_key: bool) -> contextlib.AbstractContextManager[Connection]:
        # The pool tests a server's connection first: the server may have gone. A file needs no test, and the pool
        # takes longer than the file.
        return self._on_connection() if self.engine.dialect.name == "sqlite" else self._on_server(by_key)

    @contextlib.contextmanager
    def _on_server(self, by_key: bool) -> Iterator[Connection]:
        with self.engine.connect().execution_options(by_key=by_key) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _on_connection(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = self.engine.connect()
        try:
            with self._connection.begin():
                begin(self._connection, writing=True)
                yield self._connection
                # Before the commit: without a commit, everything is delivered again.
                if self._file is not None:
                    self._file.check()
        except BaseException:
            # A commit that a deferred constraint refuses leaves the transaction open; SQLAlchemy does not end it.
            self._connection.connection.rollback()
            raise

    def _translated(self, error: Exception) -> Conflict | DatabaseUnavailable | None:
        """Our error for one of the driver, perhaps wrapped by SQLAlchemy.

        None when the statement or its values are at fault, and not the database.
        """
        origin = getattr(error, "orig", error)
        state = str(getattr(origin, "sqlstate", None))
        if isinstance(origin, self.driver.IntegrityError) or state in _CONFLICTS:
            return Conflict(error_text(error))
        wrong = isinstance(origin, self.driver.DataError | self.driver.ProgrammingError)
        wrong = wrong or state.startswith(_STATEMENT_ERRORS)
        return None if wrong and not state.startswith(_MISSING) else DatabaseUnavailable(error_text(error))

    def refuses_login(self, error: Exception) -> bool:
        """Whether `error` of `begin` means that the server refuses the user or password. May connect again."""
        origin = getattr(error.__cause__, "orig", None) or error.__cause__
        if origin is None or self.engine.dialect.name == "sqlite":
            return False
        from choregraphie.storage.connect_errors import refuses_login
        from choregraphie.storage.postgresql import connection_parameters

        return refuses_login(origin, connection_parameters(self.engine))

    def close(self) -> None:
        """Close all connections, then unlock the file."""
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()
        if self._file is not None:
            self._file.release()
            self._file = None


def open_database(service: Service, settings: Settings) -> Database:
    """Open the database of `service`: create and fill it at the first start, upgrade an older one.

    Raises DatabaseRefused when it cannot be used (not writable, locked by another worker, of a newer version,
    damaged), and DatabaseUnavailable when it does not answer now (locked for a moment, disk full, server away).
    """
    url = database_url(service.name, settings)
    file = LockedFile(Path(str(url.database)), _TAKEN) if is_file(url) else None
    engine = engine_for(url, newer_url=lambda: newer_url(service.name, settings))
    database = Database(engine, file)
    try:
        with database.begin() as connection:
            _check(connection, url)
            _prepare(connection, service, settings)
    except (DatabaseUnavailable, Conflict, DBAPIError, database.driver.Error) as error:
        database.close()
        raise not_opened(url, error, database.engine) from error
    except BaseException:
        database.close()
        raise
    return database


def business_state(service: Service, settings: Settings) -> dict[str, Any]:
    """The business state of `service`; a worker may run meanwhile. Raises DatabaseRefused."""
    with open_for_reading(service, settings) as connection:
        return service.inspect(connection)


@contextlib.contextmanager
def open_for_reading(service: Service, settings: Settings) -> Iterator[Connection]:
    """A connection that only reads; a worker may run meanwhile.

    Raises DatabaseRefused, also for the database of another service.
    """
    with open_unchecked(service, settings) as connection:
        check_owner(connection, service)
        yield connection


@contextlib.contextmanager
def open_unchecked(service: Service, settings: Settings) -> Iterator[Connection]:
    """`open_for_reading` of a database that may be of another service."""
    url = database_url(service.name, settings)
    if is_missing(url):
        raise DatabaseRefused(f"{without_secrets(url)}: no such database; has a worker of {service.name} run yet?")
    engine = engine_for(url, reading=True)
    try:
        with engine.connect() as connection:
            yield connection
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        raise refusal(url, error) from error
    finally:
        engine.dispose()


def _check(connection: Connection, url: URL) -> None:
    if connection.dialect.name == "sqlite":
        answer = connection.exec_driver_sql("PRAGMA quick_check").scalar()
        if answer != "ok":
            # Newer versions of SQLite answer with several lines.
            raise DatabaseRefused(f"the database is damaged: {' '.join(str(answer).split())}")
        return
    # Several workers may start at once: one creates or upgrades the tables, and the others wait.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305190)")
    from choregraphie.storage.postgresql import schemas_of

    for schema in schemas_of(url):
        # The server skips a missing schema of the search path, and would create the tables in the next one.
        if connection.execute(select(func.to_regnamespace(func.quote_ident(schema)))).scalar() is None:
            raise DatabaseRefused(f"SAGA_DATABASE_URL: search_path: this database has no schema {schema}")


def _prepare(connection: Connection, service: Service, settings: Settings) -> None:
    IDENTITY.create(connection, checkfirst=True)
    found = connection.execute(select(IDENTITY)).first()
    versions = dict(zip(("runtime_version", "version"), versions_of(service), strict=True))
    if found is None:
        METADATA.create_all(connection)
        service.tables.create_all(connection)
        connection.execute(insert(IDENTITY), {"name": service.name, **versions})
        fill(connection, service, settings)
        return
    if found.name != service.name:
        raise DatabaseRefused(f"this is the database of {found.name}, not of {service.name}")
    upgrade_engine(connection, found.runtime_version, service)
    upgrade(connection, found.version, service.migrations)
    connection.execute(update(IDENTITY).values(versions))
