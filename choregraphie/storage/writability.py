"""Checks with a real commit whether the database can be written: a read-only database answers, too."""

from pathlib import Path

from sqlalchemy import Insert, Table, false, insert, select, update

from choregraphie.process.resources import check_disk
from choregraphie.storage.database import Database
from choregraphie.storage.engine import is_file
from choregraphie.storage.identity import IDENTITY
from choregraphie.storage.inbox import INBOX
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.outbox import OUTBOX
from choregraphie.storage.poison_log import TRIALS


def _insert_nothing(table: Table) -> Insert:
    return insert(table).from_select([*table.columns], select(table).where(false()))


# Every delivery writes to these tables. Inserting no row shows whether they exist, are locked, and may be written.
_NOTHING = [_insert_nothing(table) for table in (INBOX, JOURNAL, OUTBOX, TRIALS)]
# A full disk or a read-only server only refuses a row that is written and committed.
_SAME = update(IDENTITY).values(version=IDENTITY.c.version)


def check_writable(database: Database) -> None:
    """Write and commit without changing any value.

    Raises DatabaseUnavailable or Conflict when that fails, ResourceShortage when the disk is almost full.
    """
    with database.begin() as connection:
        for statement in _NOTHING:
            connection.execute(statement)
        connection.execute(_SAME)
    url = database.engine.url
    if is_file(url):
        check_disk(Path(str(url.database)).absolute().parent)
