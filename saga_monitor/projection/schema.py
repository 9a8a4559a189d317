"""The tables of the monitor's file, how it is opened and how it is recognised."""

import datetime as dt
import sqlite3
from pathlib import Path

from choregraphie import DatabaseRefused
from saga_monitor.projection import search
from saga_monitor.projection.indexes import index

# "CHOR" in the file's header, so that the monitor never writes to another program's file.
APPLICATION_ID = 0x43484F52
# Raised with every change of the tables or of the evaluation; an older file is rebuilt from the stream.
VERSION = 19
BUSY_SECONDS = 5.0
# Enough for the pages that a batch touches, whatever the size of the file, so that memory stays constant.
CACHE_KIB = 16_000

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

_TABLES = """
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    first_offset INTEGER, first_hash BLOB,      -- the oldest entry seen, which identifies the stream
    last_offset INTEGER, last_hash BLOB,        -- the last entry read
    caught_up_at INTEGER,                       -- when the monitor last had nothing more to read
    shift INTEGER NOT NULL DEFAULT 0,           -- added to this stream's offsets: another was read before it
    began_at INTEGER                            -- the number of the first entry that was ever read
);
INSERT INTO position (one) VALUES (1);

-- Clustered by instance, so that evaluating one reads one short range. By number and not by key, so that instances
-- of the same time lie together: with random keys every event would touch a page of its own.
CREATE TABLE said (
    number INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    service TEXT NOT NULL, source TEXT NOT NULL, time INTEGER, causationid TEXT,
    decides TEXT, undid_nothing INTEGER NOT NULL, reason TEXT, "offset" INTEGER NOT NULL,
    PRIMARY KEY (number, id, source, type)      -- an id is unique with its source alone
) WITHOUT ROWID;
CREATE VIEW events AS
    SELECT saga, key, id, type, service, source, time, causationid, decides, undid_nothing, reason, "offset"
    FROM said JOIN instances USING (number);

CREATE TABLE retries (
    "offset" INTEGER PRIMARY KEY, saga TEXT, key TEXT, service TEXT NOT NULL, event_id TEXT,
    attempt INTEGER NOT NULL, at INTEGER NOT NULL, next INTEGER, detail TEXT NOT NULL, source TEXT NOT NULL
);
CREATE INDEX retries_of_instance ON retries (key, saga);

-- The newest notice of a service about an outside system that its calls need.
CREATE TABLE holds (
    service TEXT NOT NULL, outside TEXT NOT NULL, is_open INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,
    next INTEGER, detail TEXT NOT NULL, "offset" INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (service, outside)
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    "offset" INTEGER PRIMARY KEY, saga TEXT, key TEXT, service TEXT NOT NULL, event_id TEXT, type TEXT,
    reason TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL,
    letter TEXT NOT NULL,                       -- its id, as operators name it
    ended TEXT NOT NULL                         -- what an operator did about it; empty while it needs somebody
);
CREATE INDEX dead_letters_of_letter ON dead_letters (letter);
CREATE INDEX dead_letters_of_instance ON dead_letters (key, saga);
CREATE INDEX dead_letters_of_service ON dead_letters (service, "offset");

-- What operators did about dead letters and unanswered steps.
CREATE TABLE acts (
    "offset" INTEGER PRIMARY KEY, act TEXT NOT NULL, letter TEXT NOT NULL, "by" TEXT NOT NULL,
    because TEXT NOT NULL, service TEXT NOT NULL, at INTEGER NOT NULL, ends INTEGER NOT NULL, saga TEXT, key TEXT
);
CREATE INDEX acts_of_instance ON acts (key, saga);

-- The first bytes of the newest dead letters, and their headers as JSON.
CREATE TABLE copies (
    "offset" INTEGER PRIMARY KEY, body BLOB NOT NULL, size INTEGER NOT NULL, headers TEXT NOT NULL,
    routing_key TEXT NOT NULL
);

-- Its indexes: indexes.py.
CREATE TABLE instances (
    number INTEGER PRIMARY KEY, saga TEXT NOT NULL, key TEXT NOT NULL,
    state TEXT NOT NULL, flags TEXT NOT NULL, at_rest INTEGER NOT NULL, urgent INTEGER NOT NULL,
    steps TEXT NOT NULL, remaining TEXT NOT NULL,
    started INTEGER,
    heard INTEGER NOT NULL,                     -- the time of its last entry
    quiet_since INTEGER NOT NULL,               -- the same, or the later end of a known retry delay
    duration_ms INTEGER, last_type TEXT NOT NULL, last_offset INTEGER NOT NULL,
    retries INTEGER NOT NULL, dead_letters INTEGER NOT NULL,
    UNIQUE (key, saga)                          -- by key first: a person looks for a key in all sagas
);

-- The number of instances and steps by duration.
CREATE TABLE times (
    saga TEXT NOT NULL, series TEXT NOT NULL, ms INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (saga, series, ms)
) WITHOUT ROWID;

-- Updated by delta, so that totals never count a million rows. `saga` is empty for what belongs to none.
CREATE TABLE counters (
    saga TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (saga, name)
) WITHOUT ROWID;

-- The data of the charts. `minute`: whole minutes since 1970.
CREATE TABLE minutes (
    minute INTEGER NOT NULL, saga TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (minute, saga, name)
) WITHOUT ROWID;

-- The newest events that no service acts on: by another speaker's exchange, or without a valid signature.
CREATE TABLE untrusted_events (
    "offset" INTEGER PRIMARY KEY, exchange TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL,
    saga TEXT, key TEXT NOT NULL, at INTEGER NOT NULL
);
-- The newest events of types and versions that the choreography does not know.
CREATE TABLE unknown (
    "offset" INTEGER PRIMARY KEY, saga TEXT, key TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL,
    time INTEGER, at INTEGER
);
CREATE INDEX unknown_of_instance ON unknown (key);
-- Pairs of speakers whose clocks put an effect before its cause, with the largest difference.
CREATE TABLE skews (
    cause TEXT NOT NULL, effect TEXT NOT NULL, worst_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    saga TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (cause, effect)
) WITHOUT ROWID;
-- Entries that the stream lost before they were read: see gaps.py. "offset" is the stream's own.
CREATE TABLE gaps (
    number INTEGER PRIMARY KEY, noticed_at INTEGER NOT NULL, loss TEXT NOT NULL, lost INTEGER,
    "offset" INTEGER NOT NULL, after INTEGER, until INTEGER, acknowledged INTEGER NOT NULL DEFAULT 0
);
-- When each speaker was last heard.
CREATE TABLE last_heard (
    service TEXT PRIMARY KEY, "offset" INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;

-- Open alerts. They survive a rebuild of the file, so that no alert is sent twice.
CREATE TABLE IF NOT EXISTS alerts (
    key TEXT PRIMARY KEY, alert TEXT NOT NULL,
    opened_at INTEGER NOT NULL, told_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The moment for which the file's content is true, in SQL over `position`; NULL before anything was read. A busy
# stream always has more to read; then the last event read gives the moment.
AS_OF = (
    "nullif(max(coalesce(caught_up_at, 0),"
    " coalesce((SELECT heard FROM instances ORDER BY last_offset DESC LIMIT 1), 0)), 0)"
)

# The SQL condition of the rows of several instances; its first value: the instances as JSON.
OF_INSTANCES = "(key, saga) IN (SELECT json_extract(value, '$[1]'), json_extract(value, '$[0]') FROM json_each(?))"

# The SQL condition of the messages of a saga, its name being the second value, or of any saga when that is NULL.
# Of a message that cannot be read, or of an unknown type, the saga may not be known.
MAY_BE_OF_SAGA = "(?2 IS NULL OR saga IS NULL OR saga = ?2)"

INSTANCE_COLUMNS = (
    *("number", "saga", "key", "state", "flags", "at_rest", "urgent", "steps", "remaining", "started", "heard"),
    *("quiet_since", "duration_ms", "last_type", "last_offset", "retries", "dead_letters"),
)


def connect(path: Path) -> sqlite3.Connection:
    """Opens the file at `path`; creates it and its folder if needed.

    Raises DatabaseRefused when it cannot be opened, is another program's, or of another version.
    """
    if path.exists() and not path.is_file():
        raise DatabaseRefused(f"{path}: not a file; SAGA_MONITOR_DATABASE names the monitor's file")
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
    # Check before any change: another program's file must stay untouched.
    if _version(connection, path) is None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection, path) is None:  # another process may have created it meanwhile
            _create(connection)
        connection.execute("COMMIT")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    # The stream can rebuild everything, so a commit need not wait for the disk.
    connection.execute("PRAGMA synchronous=NORMAL")


def _version(connection: sqlite3.Connection, path: Path) -> int | None:
    """Our version, or None when the file is new. Raises DatabaseRefused for any other file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID and version == VERSION:
        return VERSION
    if application == APPLICATION_ID and version > VERSION:
        raise DatabaseRefused(
            f"{path}: written by a newer version of the monitor; use that one, or another file with"
            " SAGA_MONITOR_DATABASE"
        )
    if application == APPLICATION_ID:
        raise DatabaseRefused(
            f"{path}: written by an older version of the monitor; start this one again, which sets the file aside"
        )
    if tables or application or version:
        raise DatabaseRefused(f"{path}: not a monitor's file; choose another with SAGA_MONITOR_DATABASE")
    return None


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    index(connection)
    search.create(connection)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def instant(time: dt.datetime | None) -> int | None:
    """A time as the file keeps it: microseconds since 1970, UTC."""
    return None if time is None else (time - EPOCH) // _MICROSECOND


def moment(kept: int | None) -> dt.datetime | None:
    return None if kept is None else EPOCH + kept * _MICROSECOND
