"""Deletes rows that are older than their retention, a batch at a time.

Inbox rows, published outbox rows, the events of joins and trials have an age limit. Whoever may publish can also
name as many keys as they like that never become an instance: `Forget` declares which rows and journal entries are
deleted for those. An instance that began keeps its journal: it may be cancelled years after its creation, and a
second one with its key must find the first one.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from functools import cached_property

import structlog
from sqlalchemy import Connection, bindparam, delete
from sqlalchemy.exc import DBAPIError

from choregraphie.service.service import Forget
from choregraphie.storage import inbox, joins, outbox, poison_log
from choregraphie.storage.database import Conflict, Database
from choregraphie.storage.engine import error_text
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.statements import Prepared

# Small, so that a batch keeps no delivery waiting.
BATCH_ROWS = 500
# What a table refuses to forget is tried again after this time: a person may have removed what refers to it.
PUT_OFF = dt.timedelta(hours=1)

_JOURNAL = Prepared(
    delete(JOURNAL).where(JOURNAL.c.saga == bindparam("the_saga"), JOURNAL.c.key == bindparam("the_key")),
    ["the_saga", "the_key"],
)


log = structlog.get_logger()


class Retention:
    """What a service's database keeps, and for how long."""

    def __init__(self, forgets: Iterable[Forget], inbox_age: dt.timedelta, outbox_age: dt.timedelta) -> None:
        self._forgetting = [_Forgetting(forget) for forget in forgets]
        self._inbox_age, self._outbox_age = inbox_age, outbox_age

    def delete_batch(self, database: Database, now: dt.datetime) -> int:
        """Delete up to BATCH_ROWS of each kind that are too old; returns how many rows and keys were deleted."""
        before = now - self._inbox_age
        with database.begin() as connection:
            deleted = (
                inbox.purge(connection, before, BATCH_ROWS),
                outbox.purge(connection, now - self._outbox_age, BATCH_ROWS),
                joins.purge(connection, before, BATCH_ROWS),
                poison_log.purge(connection, before, BATCH_ROWS),
            )
        return sum((*deleted, *(one.delete_batch(database, before, now) for one in self._forgetting)))


class _Forgetting:
    """One `Forget` of a service, and the keys that a constraint or a trigger of its table keeps for now."""

    def __init__(self, forget: Forget) -> None:
        self._forget = forget
        self._put_off: dict[str, dt.datetime] = {}

    @cached_property
    def _due(self) -> Prepared:
        # The lock makes PostgreSQL compare the row once more, so an instance that begins now is kept. A row
        # that another worker has locked is left for the next batch.
        due = self._forget.due.limit(bindparam("most")).with_for_update(skip_locked=True)
        return Prepared(due, ["now", "most"])

    @cached_property
    def _rows(self) -> Prepared:
        table = self._forget.of.TABLE
        return Prepared(delete(table).where(table.c[self._forget.about.KEY] == bindparam("the_key")), ["the_key"])

    def delete_batch(self, database: Database, before: dt.datetime, now: dt.datetime) -> int:
        """Delete the rows and journal entries of up to BATCH_ROWS keys due by then; returns how many keys.

        A key whose row is refused is put off, and logged; it keeps no others.
        """
        self._put_off = {key: until for key, until in self._put_off.items() if until > now}
        refused: dict[str, str] = {}
        deleted = self._delete(database, before, None, refused)
        if refused:
            self._put_off |= dict.fromkeys(refused, now + PUT_OFF)
            first = next(iter(refused))
            log.error(
                "retention.refused",
                table=self._forget.of.TABLE.name,
                keys=len(refused),
                first=first,
                error=refused[first],
                again_in_s=PUT_OFF.seconds,
            )
        return deleted

    def _delete(
        self, database: Database, before: dt.datetime, among: Collection[str] | None, refused: dict[str, str]
    ) -> int:
        """Delete what is due, or of that the keys in `among`. Each that is refused is found, by halves."""
        keys: list[str] = []
        try:
            with database.begin() as connection:
                keys += self._keys(connection, before, among)
                self._rows.run_many(connection, [(key,) for key in keys])
                _JOURNAL.run_many(connection, [(self._forget.about.SAGA, key) for key in keys])
        except Exception as error:
            if not keys or not _is_refusal(error, database):
                raise
            if len(keys) == 1:
                refused[keys[0]] = error_text(error)
                return 0
        else:
            return len(keys)
        middle = len(keys) // 2
        return sum(self._delete(database, before, half, refused) for half in (keys[:middle], keys[middle:]))

    def _keys(self, connection: Connection, before: dt.datetime, among: Collection[str] | None) -> list[str]:
        rows = self._due.rows(connection, before, BATCH_ROWS + len(self._put_off))
        due = [key for (key,) in rows if key not in self._put_off][:BATCH_ROWS]
        return due if among is None else [key for key in due if key in among]


def _is_refusal(error: Exception, database: Database) -> bool:
    """Whether a constraint or a trigger of a table refuses. `error`: what a transaction of `database` raised."""
    if not isinstance(error, Conflict):
        return isinstance(error, (DBAPIError, database.driver.Error))  # the statement is at fault
    return isinstance(getattr(error.__cause__, "orig", error.__cause__), database.driver.IntegrityError)
