"""Deletes journal entries and rows of keys that never became an order.

Whoever may publish can name as many keys as they like. An order that began stays with its journal: it may be
cancelled years after its creation, and a second order with its id must find the first one.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, bindparam, delete

from choregraphie.service.service import Forget
from choregraphie.storage.journal import JOURNAL
from choregraphie.storage.statements import Prepared

_JOURNAL = Prepared(delete(JOURNAL).where(JOURNAL.c.commande_id == bindparam("the_order")), ["the_order"])


@dataclass(frozen=True)
class Forgetting:
    """Carries out one `Forget` of a service."""

    forget: Forget

    @cached_property
    def _due(self) -> Prepared:
        # Locked, and compared again once it is: an order that comes at this instant is not forgotten. What another
        # worker has in hand is left for the next time.
        due = self.forget.due.limit(bindparam("most")).with_for_update(skip_locked=True)
        return Prepared(due, ["now", "most"])

    @cached_property
    def _rows(self) -> Prepared:
        table = self.forget.of.TABLE
        return Prepared(delete(table).where(table.c.commande_id == bindparam("the_order")), ["the_order"])

    def batch(self, connection: Connection, before: dt.datetime, most: int) -> int:
        """Forget up to `most` orders due before that instant, with all that the journal has of them; how many."""
        orders = [(order,) for (order,) in self._due.rows(connection, before, most)]
        self._rows.each(connection, orders)
        _JOURNAL.each(connection, orders)
        return len(orders)
