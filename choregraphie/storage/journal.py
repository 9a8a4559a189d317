"""The journal: the actions that a service carried out for each order, and whether they were undone."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, bindparam, insert, select, update

from choregraphie.service.action import UNDOABLE, Entry, State
from choregraphie.service.column_types import Instant
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.statements import Lookup, Prepared

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
    # The source of the event whose id is `cause`; NULL in rows written by runtime versions before 3.
    Column("cause_source", Text),
)

_VALUES = ("state", "at", "data", "cause", "undone_at", "undone_by", "cause_source")
_COLUMNS = ("commande_id", "action", *_VALUES)
_ALL = select(*(JOURNAL.c[name] for name in _COLUMNS))
_IN_ORDER = _ALL.order_by(JOURNAL.c.commande_id, JOURNAL.c.action)
_LOAD = Lookup(_IN_ORDER, JOURNAL.c.commande_id)
_LOAD_LOCKED = Lookup(_IN_ORDER.with_for_update(), JOURNAL.c.commande_id)
_INSERT = Prepared(insert(JOURNAL), _COLUMNS)
_UPDATE = Prepared(
    update(JOURNAL)
    .where(JOURNAL.c.commande_id == bindparam("the_order"), JOURNAL.c.action == bindparam("the_action"))
    .values({name: bindparam(f"new_{name}") for name in _VALUES}),
    ["the_order", "the_action", *(f"new_{name}" for name in _VALUES)],
)


_STATES = {state.value: state for state in State}


class Journal:
    """The journal entries of the orders of one group. With `locked=False` they are read without a lock."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._load = _LOAD_LOCKED if locked else _LOAD
        self._entries: dict[tuple[str, str], Entry] = {}
        self._new: set[tuple[str, str]] = set()
        self._changed: set[tuple[str, str]] = set()

    def load(self, commande_ids: Iterable[str]) -> None:
        """Read the entries of these orders."""
        for row in self._load.rows(self._connection, sorted(set(commande_ids))):
            entry = _entry(row)
            self._entries[entry.commande_id, entry.action] = entry

    def entries(self) -> list[Entry]:
        """All entries that were read or recorded."""
        return list(self._entries.values())

    def entry(self, commande_id: str, action: str) -> Entry | None:
        """The entry of an action for an order, or None."""
        return self._entries.get((commande_id, action))

    def record(self, entry: Entry) -> None:
        """Add an entry, or replace the one of the same order and action."""
        key = (entry.commande_id, entry.action)
        if key not in self._entries:
            self._new.add(key)
        elif key not in self._new:
            self._changed.add(key)
        self._entries[key] = entry

    def undo(self, commande_id: str, action: str, by: str, now: dt.datetime) -> Entry | None:
        """Mark an action as undone and return the entry as it was before.

        None when there is nothing to undo: the action was not begun (this leaves a tombstone), was refused, or was
        undone before.
        """
        entry = self.entry(commande_id, action)
        if entry is None:
            self.record(Entry(commande_id, action, State.TOMBSTONE, now, {}, by, undone_at=now, undone_by=by))
            return None
        if entry.state in UNDOABLE:
            self.record(entry._replace(state=State.UNDONE, undone_at=now, undone_by=by))
            return entry
        return None

    def write(self) -> None:
        """Write the new and the replaced entries, in key order."""
        _INSERT.run_many(self._connection, [_row(self._entries[key]) for key in sorted(self._new)])
        changed = (_row(self._entries[key]) for key in sorted(self._changed))
        _UPDATE.run_many(self._connection, list(changed))


def journal_of(connection: Connection, commande_id: str) -> list[Entry]:
    """The journal of an order, oldest entry first."""
    journal = Journal(connection, locked=False)
    journal.load([commande_id])
    return sorted(journal.entries(), key=lambda entry: entry.at)


def open_actions(connection: Connection, orders: Sequence[str], actions: Iterable[str]) -> list[Entry]:
    """The entries of `orders` for those of `actions` that were begun or done and are not undone."""
    undoable = _ALL.where(JOURNAL.c.action.in_(sorted(actions)), JOURNAL.c.state.in_(UNDOABLE))
    found = Lookup(undoable.order_by(JOURNAL.c.at), JOURNAL.c.commande_id)
    return [_entry(row) for row in found.rows(connection, sorted(set(orders)))]


def _entry(row: Sequence[Any]) -> Entry:
    commande_id, action, state, at, data, *rest = row
    noted = {} if data == _NOTHING else json.loads(data)
    return Entry(commande_id, action, _STATES[state], at, noted, *rest)


_NOTHING = "{}"
_written = json.JSONEncoder(sort_keys=True).encode  # json.dumps would create an encoder for each entry


def _row(entry: Entry) -> tuple[Any, ...]:
    data = _written(entry.data) if entry.data else _NOTHING
    return (entry.commande_id, entry.action, entry.state.value, entry.at, data, *entry[5:])
