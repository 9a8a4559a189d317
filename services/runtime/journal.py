"""The journal: the actions a service has carried out for an order, and whether they were undone."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, bindparam, insert, select, update

from services.runtime.columns import Instant
from services.runtime.inbox import METADATA

JOURNAL = Table(
    "journal",
    METADATA,
    Column("commande_id", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("cause", Text),
    Column("at", Instant, nullable=False),
    Column("undone_at", Instant),
    Column("undone_by", Text),
)

# Built once: to build a statement costs as much as to send it.
_LOAD = (
    select(JOURNAL)
    .where(JOURNAL.c.commande_id.in_(bindparam("orders", expanding=True)))
    .order_by(JOURNAL.c.commande_id, JOURNAL.c.action)
)
_LOAD_LOCKED = _LOAD.with_for_update()
_INSERT = insert(JOURNAL)
_ORDERS_PER_STATEMENT = 500


class State(StrEnum):
    """What is known of an action for an order."""

    BEGUN = "begun"  # its call outside may have happened; its outcome is not settled yet
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    TOMBSTONE = "tombstone"  # undone before it was done: whoever comes late does nothing


@dataclass
class Entry:
    commande_id: str
    action: str
    state: State
    at: dt.datetime
    data: dict[str, Any] = field(default_factory=dict)
    cause: str | None = None
    undone_at: dt.datetime | None = None
    undone_by: str | None = None


class Journal:
    """The journals of the orders of one group."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._locked = locked
        self._entries: dict[tuple[str, str], Entry] = {}
        self._stored: dict[tuple[str, str], dict[str, Any]] = {}

    def load(self, commande_ids: Iterable[str]) -> None:
        query = _LOAD_LOCKED if self._locked else _LOAD
        for row in self._connection.execute(query, {"orders": sorted(set(commande_ids))}):
            entry = _entry(row)
            self._entries[entry.commande_id, entry.action] = entry
            self._stored[entry.commande_id, entry.action] = dict(row._mapping)

    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def entry(self, commande_id: str, action: str) -> Entry | None:
        return self._entries.get((commande_id, action))

    def settle(self, entry: Entry) -> None:
        """The action's outcome, in place of whatever stood there."""
        self._entries[entry.commande_id, entry.action] = entry

    def undo(self, commande_id: str, action: str, by: str, now: dt.datetime) -> Entry | None:
        """Mark an action undone and return it as it was; one not begun leaves a tombstone and returns None."""
        entry = self.entry(commande_id, action)
        if entry is None:
            self.settle(Entry(commande_id, action, State.TOMBSTONE, now, cause=by, undone_at=now, undone_by=by))
            return None
        if entry.state in {State.BEGUN, State.DONE}:
            before = Entry(**vars(entry))
            entry.state, entry.undone_at, entry.undone_by = State.UNDONE, now, by
            return before
        return None

    def write(self) -> None:
        rows = {key: _row(entry) for key, entry in self._entries.items()}
        new = [row for key, row in rows.items() if key not in self._stored]
        changed = [row for key, row in rows.items() if key in self._stored and self._stored[key] != row]
        if new:
            self._connection.execute(_INSERT, new)
        if changed:
            self._connection.execute(_UPDATE, [_bound(row) for row in changed])


def history_of(connection: Connection, commande_id: str) -> list[Entry]:
    """What was carried out for an order, oldest first."""
    journal = Journal(connection, locked=False)
    journal.load([commande_id])
    return sorted(journal.entries(), key=lambda entry: entry.at)


def open_actions(connection: Connection, orders: Sequence[str], actions: Iterable[str]) -> list[Entry]:
    """Of `orders`: those of `actions` that were done (or begun) and are not undone."""
    found: list[Entry] = []
    for start in range(0, len(orders), _ORDERS_PER_STATEMENT):
        query = (
            select(JOURNAL)
            .where(JOURNAL.c.commande_id.in_(orders[start : start + _ORDERS_PER_STATEMENT]))
            .where(JOURNAL.c.action.in_(sorted(actions)), JOURNAL.c.state.in_([State.DONE, State.BEGUN]))
            .order_by(JOURNAL.c.at)
        )
        found += [_entry(row) for row in connection.execute(query)]
    return found


def _entry(row: Row[Any]) -> Entry:
    values = dict(row._mapping) | {"state": State(row.state), "data": json.loads(row.data)}
    return Entry(**values)


_SETTLED = ("state", "data", "cause", "at", "undone_at", "undone_by")
_UPDATE = (
    update(JOURNAL)
    .where(JOURNAL.c.commande_id == bindparam("the_order"), JOURNAL.c.action == bindparam("the_action"))
    .values({name: bindparam(f"new_{name}") for name in _SETTLED})
)


def _row(entry: Entry) -> dict[str, Any]:
    return vars(entry) | {"state": entry.state.value, "data": json.dumps(entry.data, sort_keys=True)}


def _bound(row: dict[str, Any]) -> dict[str, Any]:
    key = {"the_order": row["commande_id"], "the_action": row["action"]}
    return key | {f"new_{name}": row[name] for name in _SETTLED}
