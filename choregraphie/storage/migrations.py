"""Migrations of the engine's own tables since version 1.

A numbered list is simpler than a migration framework: there are a handful of tables, two databases, and no
branches. While PostgreSQL is upgraded, workers of the version before may still run on it: what they write must
stay valid, or be refused without harm. A worker whose columns were renamed finds its database unavailable
(SQLSTATE 42703): it waits, sets nothing aside, and its service's new worker takes over.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, inspect

from choregraphie.errors import DatabaseRefused
from choregraphie.service.service import Migration, Service
from choregraphie.storage.joins import JOINS
from choregraphie.storage.poison_log import TRIALS

EngineMigration = Callable[[Connection, Service], None]


def add_trials(connection: Connection, service: Service) -> None:
    """Version 2."""
    TRIALS.create(connection, checkfirst=True)


def keep_sources(connection: Connection, service: Service) -> None:
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
    connection.exec_driver_sql(
        "CREATE TABLE inbox (event_id TEXT NOT NULL, source TEXT DEFAULT '' NOT NULL, body_hash BLOB NOT NULL,"
        " type TEXT NOT NULL, commande_id TEXT NOT NULL, dealt_with_at BIGINT NOT NULL,"
        " PRIMARY KEY (event_id, source))"
    )
    columns = "event_id, body_hash, type, commande_id, dealt_with_at"
    connection.exec_driver_sql(f"INSERT INTO inbox ({columns}) SELECT {columns} FROM inbox_by_id")  # noqa: S608
    connection.exec_driver_sql("DROP TABLE inbox_by_id")


def key_by_saga(connection: Connection, service: Service) -> None:
    """Version 4: rows are keyed by saga and key. Those written before are of the one saga that there was."""
    # Building a primary key reads every row, which may exceed the statement timeout of a delivery.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    default = _saga_of_rows(connection, service).replace("'", "''")
    for table in ("inbox", "outbox", "journal"):
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME COLUMN commande_id TO key")
        # A constant default writes no row.
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN saga TEXT NOT NULL DEFAULT '{default}'")
    for table in ("inbox", "outbox"):
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS ix_{table}_commande_id")
        connection.exec_driver_sql(f"CREATE INDEX ix_{table}_key ON {table} (key)")
    if connection.dialect.name == "sqlite":
        _copy_journal(connection)
        return
    for table in ("inbox", "outbox", "journal"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN saga DROP DEFAULT")
    connection.exec_driver_sql("ALTER TABLE journal DROP CONSTRAINT journal_pkey")
    connection.exec_driver_sql("ALTER TABLE journal ADD PRIMARY KEY (saga, key, action)")


def _saga_of_rows(connection: Connection, service: Service) -> str:
    """The saga of the events that were handled; the first that the service knows where there are none."""
    known = {heard.TYPE: heard.SAGA for handler in service.reactions for heard in handler.hears}
    types = (type_ for (type_,) in connection.exec_driver_sql("SELECT DISTINCT type FROM inbox"))
    return next((known[type_] for type_ in types if type_ in known), next(iter(known.values()), ""))


def _copy_journal(connection: Connection) -> None:
    """Create the table anew and copy its rows: SQLite cannot change the primary key of a table."""
    connection.exec_driver_sql("ALTER TABLE journal RENAME TO journal_by_key")
    connection.exec_driver_sql(
        "CREATE TABLE journal (saga TEXT NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL,"
        " data TEXT NOT NULL, cause TEXT, at BIGINT NOT NULL, undone_at BIGINT, undone_by TEXT, cause_source TEXT,"
        " PRIMARY KEY (saga, key, action))"
    )
    columns = "saga, key, action, state, data, cause, at, undone_at, undone_by, cause_source"
    connection.exec_driver_sql(f"INSERT INTO journal ({columns}) SELECT {columns} FROM journal_by_key")  # noqa: S608
    connection.exec_driver_sql("DROP TABLE journal_by_key")


def add_joins(connection: Connection, service: Service) -> None:
    """Version 5."""
    JOINS.create(connection, checkfirst=True)


def drop_indexes_by_key(connection: Connection, service: Service) -> None:
    """Version 6: nothing looks for a row of inbox or outbox by its key, and each one cost a page of an index.

    Copying the inbox for version 3 lost its index by time.
    """
    for table in ("inbox", "outbox"):
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS ix_{table}_key")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_inbox_dealt_with_at ON inbox (dealt_with_at)")


def keep_tracestate(connection: Connection, service: Service) -> None:
    """Version 7. A worker of the version before leaves the column empty."""
    connection.exec_driver_sql("ALTER TABLE outbox ADD COLUMN tracestate TEXT")


MIGRATIONS: tuple[EngineMigration, ...] = (
    add_trials,
    keep_sources,
    key_by_saga,
    add_joins,
    drop_indexes_by_key,
    keep_tracestate,
)


def upgrade_engine(connection: Connection, version: int, service: Service) -> None:
    """Upgrade the engine's tables of `service` from `version`. Raises DatabaseRefused when they are newer."""
    upgrade(connection, version, tuple(partial(_for_service, migrate, service) for migrate in MIGRATIONS))


def upgrade(connection: Connection, version: int, migrations: tuple[Migration, ...]) -> None:
    """Execute the migrations since `version`. Raises DatabaseRefused when there is none of that version."""
    if version > 1 + len(migrations):
        raise DatabaseRefused(f"the database is of version {version}; this program knows {1 + len(migrations)}")
    for migrate in migrations[version - 1 :]:
        migrate(connection)


def _for_service(migrate: EngineMigration, service: Service, connection: Connection) -> None:
    migrate(connection, service)
