"""Database URLs, engines and the lock on a SQLite file."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from services.runtime.errors import DatabaseRefused
from services.runtime.settings import Settings
from services.runtime.statements import cursor_of

BUSY_SECONDS = 5


def database_url(service: str, settings: Settings) -> URL:
    try:
        url = make_url(settings.database_url.replace("{service}", service))
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        raise DatabaseRefused(
            "SAGA_DATABASE_URL is no URL such as sqlite:///var/{service}.sqlite3 or postgresql://user@host/{service}"
        ) from None
    return url


def is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def short(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    # PostgreSQL's detail names the values of the row, which belong into no log and no header.
    return " ".join(str(origin).partition("DETAIL:")[0].split())[:300]


def hold(url: URL) -> int:
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


def engine_for(url: URL, *, reading: bool = False) -> Engine:
    if url.get_backend_name() != "sqlite":
        options = _postgresql_options(url)
        return sa.create_engine(url, pool_size=2, pool_pre_ping=True, connect_args=options, hide_parameters=True)
    pool = {} if is_file(url) else {"poolclass": StaticPool}
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,  # an error goes to logs and into a header, where no value of a message belongs
        **pool,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver would begin by itself, and as a reader
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            if not reading:
                connection.execute(f"PRAGMA {pragma}")

    if reading:
        event.listen(engine, "begin", lambda connection: begin(connection, writing=False))
    return engine


def begin(connection: Connection, *, writing: bool) -> None:
    """Begin on SQLite. A writer does so as one: two readers who want to write both end in "locked"."""
    # Past SQLAlchemy, for which this would be a statement like any other: it costs as much as one.
    cursor_of(connection).execute("BEGIN IMMEDIATE" if writing else "BEGIN")


def _postgresql_options(url: URL) -> dict[str, Any]:
    options = "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
    if url.get_backend_name() != "postgresql":
        return {}
    # A server that is gone without a word is noticed by the client alone: after some 25 s, as with the broker.
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
    return {"options": options, "connect_timeout": 5, **alive}
