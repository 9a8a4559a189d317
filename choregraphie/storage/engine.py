"""Database URLs: reads, checks and opens them. What a URL asks for is given or refused, never ignored."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable
from choregraphie.extras import needing
from choregraphie.paths import exists
from choregraphie.process.resources import is_short
from choregraphie.settings import Settings
from choregraphie.storage.statements import cursor_of

BUSY_SECONDS = 5
# Keys may be random, so each row of a group changes pages of its own in several indexes. `wal_autocheckpoint`
# (pages): a page that many groups change is copied into the file once, and the disk is waited for less often; the
# log takes up to 32 MB. `cache_size` (KiB): the pages of a group stay in memory until its commit.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=8000",
    "cache_size=-8000",
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BACKENDS = {"sqlite": "pysqlite", "postgresql": "psycopg"}
# As a person writes it, or as a library escapes it in a URL.
_SERVICE = re.compile(r"\{service\}|%7bservice%7d", re.IGNORECASE)

# SQLite: conditions that end when another connection finishes, or when there is room again.
_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
# On a full disk SQLite cannot make the file that its connections share, and calls that an I/O error.
_FULL_AT_OPENING = sqlite3.SQLITE_IOERR_SHMSIZE

# Asked for another URL when a server refuses a connection.
NewerUrl = Callable[[], URL | None]


def database_url(service: str, settings: Settings) -> URL:
    """The URL of the service's own database. Raises DatabaseRefused when it cannot be used."""
    return _url_of(service, settings.current("database_url"))


def newer_url(service: str, settings: Settings) -> URL | None:
    """The URL that its file holds now; None unless it is another one, usable, of the same kind of database."""
    kind = database_url(service, settings).get_backend_name()

    def check(text: str) -> None:
        if _url_of(service, text).get_backend_name() != kind:
            raise DatabaseRefused("SAGA_DATABASE_URL: the kind of the database changes only with a restart")

    return database_url(service, settings) if settings.read_again("database_url", check) else None


def _url_of(service: str, setting: str) -> URL:
    text = _SERVICE.sub(service, setting)
    try:
        url = make_url(text)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        with needing("postgresql"):
            url.get_dialect().import_dbapi()
        usable = _BACKENDS.get(url.get_backend_name()) == url.get_driver_name()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        usable = False
    if not usable:
        raise DatabaseRefused(
            "SAGA_DATABASE_URL is no URL such as sqlite:///var/{service}.sqlite3 or postgresql://user@host/{service}"
        ) from None
    if any(
        _CONTROL.search(part or "") for part in (url.username, str(url.password or ""), url.host, url.database)
    ):
        # libpq would end the connection string at a NUL.
        raise DatabaseRefused("SAGA_DATABASE_URL: a part of it holds a control character")
    _check_query(text, url)
    if url.get_backend_name() == "sqlite":
        _check_sqlite(url)
    else:
        # psycopg is an extra, so this module and what it uses are imported where a URL is of PostgreSQL.
        from choregraphie.storage.postgresql import check_parameters

        check_parameters(url)
    return url


def is_clear_text(url: URL) -> bool:
    """Whether passwords and rows travel to another machine in clear text."""
    if url.get_backend_name() == "sqlite":
        return False
    from choregraphie.storage.postgresql_tls import is_clear

    return is_clear(url)


def is_of_each_service(url: str) -> bool:
    """Whether the URL names a database or a schema of its own for each service."""
    return bool(_SERVICE.search(url))


def _check_query(text: str, url: URL) -> None:
    """Refuse a parameter without a value, which SQLAlchemy would ignore."""
    query = (text.rpartition("@")[2] if url.username else text).partition("?")[2]
    for part in query.split("&") if query else ():
        name, sign, value = part.partition("=")
        if not (name and sign and value):
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name or 'a parameter'} has no value")
    given = dict(parse_qsl(query))
    if query and given.keys() != url.query.keys():
        raise DatabaseRefused("SAGA_DATABASE_URL: the parameters after ? cannot be read")


def _check_sqlite(url: URL) -> None:
    if url.host or url.username or url.port:
        raise DatabaseRefused("SAGA_DATABASE_URL: SQLite has no host; write sqlite:///folder/{service}.sqlite3")
    if str(url.database).startswith("file:"):
        raise DatabaseRefused("SAGA_DATABASE_URL: name SQLite's file by a path, not by file:")
    for name, value in url.query.items():
        if name != "timeout":
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name} is no parameter of SQLite here; only timeout is")
        if not re.fullmatch(r"\d{1,4}(\.\d+)?", str(value)):
            raise DatabaseRefused("SAGA_DATABASE_URL: timeout: expected a number of seconds")


def is_file(url: URL) -> bool:
    """Whether the URL names a SQLite file."""
    return url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}


def is_missing(url: URL) -> bool:
    """Whether the URL names a SQLite file that does not exist. Raises DatabaseRefused when that cannot be told."""
    if not is_file(url):
        return False
    try:
        return not exists(Path(str(url.database)))
    except OSError as error:  # its folder may not be looked into, its name is too long
        raise DatabaseRefused(f"{without_secrets(url)}: {error.strerror}") from None


def without_secrets(url: URL) -> str:
    """The URL as text, without passwords and secret parameters."""
    if url.get_backend_name() == "postgresql":
        from choregraphie.storage.postgresql import secrets

        url = url.update_query_dict({name: "hidden" for name in url.query if name in secrets()})
    return url.render_as_string(hide_password=True)


def error_text(error: BaseException) -> str:
    """What a driver's error says, in one line of at most 300 characters."""
    origin = getattr(error, "orig", None) or error
    diagnosis = getattr(origin, "diag", None)
    # The primary message alone: PostgreSQL's detail names values of the row, which belong in no log and no header.
    text = getattr(diagnosis, "message_primary", None) or str(origin)
    return " ".join(text.split())[:300]


def refusal(url: URL, error: BaseException) -> DatabaseRefused:
    """What a refused connection means, with what to do about it. `error`: the driver's, or ours that it caused."""
    untrusted = ""
    if url.get_backend_name() == "postgresql":
        from choregraphie.storage.postgresql_tls import why_untrusted

        untrusted = why_untrusted(url)
    return DatabaseRefused(f"{without_secrets(url)}: {untrusted or error_text(error)}")


def not_opened(url: URL, error: Exception, engine: Engine) -> DatabaseRefused | DatabaseUnavailable:
    """Our error, which names the database, for `error` at its first use."""
    if is_transient(error, engine):
        return DatabaseUnavailable(f"{without_secrets(url)}: {error_text(error)}")
    return refusal(url, error)


def is_transient(error: Exception, engine: Engine) -> bool:
    """Whether to wait and try again: the file is locked, the disk is full, or the server does not answer."""
    cause = error.__cause__ or error
    origin = getattr(cause, "orig", None) or cause
    if engine.dialect.name == "sqlite":
        # Short of descriptors, SQLite only says that it cannot open the file.
        code = getattr(origin, "sqlite_errorcode", 0)
        return code & 0xFF in _TRANSIENT or code == _FULL_AT_OPENING or is_short()
    # psycopg is an extra.
    from choregraphie.storage.connect_errors import is_refusal
    from choregraphie.storage.postgresql import connection_parameters

    return not is_refusal(origin, connection_parameters(engine))


def engine_for(url: URL, *, reading: bool = False, newer_url: NewerUrl = lambda: None) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, reading=reading)
    from choregraphie.storage.postgresql import postgresql_engine

    return postgresql_engine(url, newer_url)


def _sqlite_engine(url: URL, *, reading: bool) -> Engine:
    options: dict[str, Any] = {} if is_file(url) else {"poolclass": StaticPool}
    busy = float(str(url.query.get("timeout", BUSY_SECONDS)))
    engine = sa.create_engine(
        url,
        connect_args={"timeout": busy, "check_same_thread": False},
        hide_parameters=True,  # errors go to logs and into a header, where no value of a message belongs
        **options,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # else the driver begins transactions itself, as a reader
        for pragma in () if reading else _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    if reading:
        event.listen(engine, "begin", lambda connection: begin(connection, writing=False))
    return engine


def begin(connection: Connection, *, writing: bool) -> None:
    """Begin a transaction on SQLite.

    A writer begins as one: of two readers that want to write, both would fail with "database is locked".
    """
    # Through the driver: SQLAlchemy's execution costs as much as a whole statement of a delivery.
    cursor_of(connection).execute("BEGIN IMMEDIATE" if writing else "BEGIN")
