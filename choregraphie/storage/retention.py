"""Deletes rows that are older than their retention, a batch at a time.

Inbox rows, published outbox rows, the events of joins and trials have an age limit. Whoever may publish can also
name as many keys as they like that never become an instance: `Forget` declares which rows and journal entries are
deleted for those. An instance that began keeps its journal: it may be cancelled years after its creation, and a
second one with its key must find the first one.
"""

import datetime as dt
from collections.abc import Iterable
from functools import cached_property

from sqlalchemy import Connection, bindparam, delete

from choregraphie.service.service import Forget
from choregraphie.storage import inbox, joins, outbox, poison_log
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.statements import Prepared

# Small, so that a batch keeps no delivery waiting.
BATCH_ROWS = 500

_JOURNAL = Prepared(
    delete(JOURNAL).where(JOURNAL.c.saga == bindparam("the_saga"), JOURNAL.c.key == bindparam("the_key")),
    ["the_saga", "the_key"],
)


class Retention:
    """What a service's database keeps, and for how long."""

    def __init__(self, forgets: Iterable[Forget], inbox_age: dt.timedelta, outbox_age: dt.timedelta) -> None:
        self._forgetting = [_Forgetting(forget) for forget in forgets]
        self._inbox_age, self._outbox_age = inbox_age, outbox_age

    def delete_batch(self, connection: Connection, now: dt.datetime) -> int:
        """Delete up to BATCH_ROWS of each kind that are too old; returns how many rows and keys were deleted."""
        before = now - self._inbox_age
        return sum(
            (
                inbox.purge(connection, before, BATCH_ROWS),
                outbox.purge(connection, now - self._outbox_age, BATCH_ROWS),
                joins.purge(connection, before, BATCH_ROWS),
                poison_log.purge(connection, before, BATCH_ROWS),
                *(forgetting.delete_batch(connection, before) for forgetting in self._forgetting),
            )
        )


class _Forgetting:
    """The statements of one `Forget` of a service."""

    def __init__(self, forget: Forget) -> None:
        self._forget = forget

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

    def delete_batch(self, connection: Connection, before: dt.datetime) -> int:
        """Delete the rows and journal entries of up to BATCH_ROWS keys due by then; returns how many keys."""
        keys = [key for (key,) in self._due.rows(connection, before, BATCH_ROWS)]
        self._rows.run_many(connection, [(key,) for key in keys])
        _JOURNAL.run_many(connection, [(self._forget.about.SAGA, key) for key in keys])
        return len(keys)
