"""The monitor's file: its tables, how it is opened, and how it is known for what it is."""

import datetime as dt
import sqlite3
from pathlib import Path

from services.runtime import DatabaseRefused

# "CHOR" in the file's header, so that another program's file is never written to.
APPLICATION_ID = 0x43484F52
# Raised with every change of the tables or of the judgement: the stream rebuilds what an older version kept.
VERSION = 1
BUSY_SECONDS = 5.0

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

_TABLES = """
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    first_offset INTEGER, first_hash BLOB,      -- the oldest entry seen: which stream this is
    last_offset INTEGER, last_hash BLOB,        -- the last entry dealt with
    caught_up_at INTEGER                        -- when the live monitor last found nothing more to read
);
INSERT INTO position (one) VALUES (1);

-- In the order of one order's events, so that judging it again is one short range.
CREATE TABLE events (
    commande_id TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    service TEXT NOT NULL, source TEXT NOT NULL, time INTEGER, causationid TEXT,
    modele TEXT, raison TEXT, "offset" INTEGER NOT NULL,
    PRIMARY KEY (commande_id, id, type)
) WITHOUT ROWID;

CREATE TABLE retries (
    "offset" INTEGER PRIMARY KEY, commande_id TEXT, service TEXT NOT NULL, event_id TEXT,
    attempt INTEGER NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX retries_of_order ON retries (commande_id);

CREATE TABLE dead_letters (
    "offset" INTEGER PRIMARY KEY, commande_id TEXT, service TEXT NOT NULL, event_id TEXT, type TEXT,
    reason TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX dead_letters_of_order ON dead_letters (commande_id);

CREATE TABLE orders (
    commande_id TEXT PRIMARY KEY,
    state TEXT NOT NULL, flags TEXT NOT NULL, at_rest INTEGER NOT NULL, urgent INTEGER NOT NULL,
    steps TEXT NOT NULL, remaining TEXT NOT NULL,
    started INTEGER, heard INTEGER NOT NULL, duration_ms INTEGER,
    last_type TEXT NOT NULL, last_offset INTEGER NOT NULL,
    retries INTEGER NOT NULL, dead_letters INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX orders_recent ON orders (last_offset);
CREATE INDEX orders_by_state ON orders (state, last_offset);
CREATE INDEX orders_in_flight ON orders (last_offset) WHERE at_rest = 0;
CREATE INDEX orders_silent ON orders (heard) WHERE at_rest = 0;
CREATE INDEX orders_flagged ON orders (last_offset) WHERE flags != '[]';
CREATE INDEX orders_urgent ON orders (last_offset) WHERE urgent = 1;
CREATE INDEX orders_by_duration ON orders (duration_ms) WHERE duration_ms IS NOT NULL;

CREATE TABLE durations (
    step TEXT NOT NULL, commande_id TEXT NOT NULL, ms INTEGER NOT NULL, PRIMARY KEY (step, commande_id)
) WITHOUT ROWID;

-- Kept by difference, so that totals never count a million rows.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

_ALL = ("position", "events", "retries", "dead_letters", "orders", "durations", "counters")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file at `path`, made with its folder when there is none.

    Raises DatabaseRefused when it cannot be opened, is another program's, or of another version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise DatabaseRefused(f"{path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise refused(path, error) from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise refused(path, error) from None
    except DatabaseRefused:
        connection.close()
        raise
    return connection


def refused(path: Path, error: sqlite3.Error) -> DatabaseRefused:
    return DatabaseRefused(f"{path}: {error}; SAGA_MONITOR_DATABASE names the monitor's file")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # Before anything is changed: a foreign file must be left as it was found.
    if not _is_ours(connection, path):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        if not _is_ours(connection, path):  # somebody else may have been faster
            _create(connection)
        connection.execute("COMMIT")
    # The stream can say everything again, so a commit need not wait for the disk.
    connection.execute("PRAGMA synchronous=NORMAL")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """True when it is, False when the file is new. Raises DatabaseRefused for any other."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID and version == VERSION:
        return True
    if application == APPLICATION_ID:
        raise DatabaseRefused(
            f"{path}: written by another version of the monitor; delete it, the stream rebuilds it"
        )
    if tables or application or version:
        raise DatabaseRefused(f"{path}: not a monitor's file; choose another with SAGA_MONITOR_DATABASE")
    return False


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def empty(connection: sqlite3.Connection) -> None:
    """Forget everything, within the caller's transaction."""
    for table in _ALL:
        connection.execute(f"DROP TABLE {table}")
    _create(connection)


def instant(time: dt.datetime | None) -> int | None:
    """How the file keeps a time: microseconds since 1970, UTC."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def moment(kept: int | None) -> dt.datetime | None:
    return None if kept is None else _EPOCH + kept * _MICROSECOND
