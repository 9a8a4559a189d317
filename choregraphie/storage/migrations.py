"""Migrations of the engine's own tables since version 1.

A numbered list is simpler than a migration framework: there are a handful of tables, two databases, and no
branches. While PostgreSQL is upgraded, workers of the version before may still run on it: what they write must
stay valid.
"""

from sqlalchemy import Connection, inspect

from choregraphie.service.service import Migration
from choregraphie.storage.inbox import INBOX
from choregraphie.storage.poison_log import TRIALS


def add_trials(connection: Connection) -> None:
    """Version 2."""
    TRIALS.create(connection, checkfirst=True)


def keep_sources(connection: Connection) -> None:
    """Version 3: an event is identified by source and id. Rows written before have an empty source."""
    if connection.dialect.name == "sqlite":
        _copy_inbox(connection)
    else:
        # Building the primary key reads every row, which may exceed the statement timeout of a delivery.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("ALTER TABLE inbox ADD COLUMN source TEXT NOT NULL DEFAULT ''")
        connection.exec_driver_sql("ALTER TABLE inbox DROP CONSTRAINT inbox_pkey")
        connection.exec_driver_sql("ALTER TABLE inbox ADD PRIMARY KEY (event_id, source)")
    connection.exec_driver_sql("ALTER TABLE journal ADD COLUMN cause_source TEXT")
    # `add_trials` creates the table as it is now, with the column.
    if "source" not in {column["name"] for column in inspect(connection).get_columns("trials")}:
        connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN source TEXT NOT NULL DEFAULT ''")


def _copy_inbox(connection: Connection) -> None:
    """Create the table anew and copy its rows: SQLite cannot change the primary key of a table."""
    connection.exec_driver_sql("ALTER TABLE inbox RENAME TO inbox_by_id")
    for index in INBOX.indexes:
        connection.exec_driver_sql(f"DROP INDEX {index.name}")
    INBOX.create(connection)
    columns = "event_id, body_hash, type, commande_id, dealt_with_at"
    connection.exec_driver_sql(f"INSERT INTO inbox ({columns}) SELECT {columns} FROM inbox_by_id")  # noqa: S608
    connection.exec_driver_sql("DROP TABLE inbox_by_id")


MIGRATIONS: tuple[Migration, ...] = (add_trials, keep_sources)
