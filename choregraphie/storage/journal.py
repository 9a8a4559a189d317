"""The journal: the actions that a service carried out for each saga instance, and whether they were undone."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, bindparam, select

from choregraphie.saga.envelope import Instance, keys_by_saga
from choregraphie.service.action import UNDOABLE, Entry, State
from choregraphie.service.column_types import Instant
from choregraphie.storage.bulk import bulk_insert, bulk_update
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.statements import Lookup, Prepared

JOURNAL = Table(
    "journal",
    METADATA,
    Column("saga", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("cause", Text),
    Column("at", Instant, nullable=False),
    Column("undone_at", Instant),
    Column("undone_by", Text),
    # The source of the event whose id is `cause`; NULL in rows written by engine versions before 3.
    Column("cause_source", Text),
)

_VALUES = ("state", "at", "data", "cause", "undone_at", "undone_by", "cause_source")
_COLUMNS = ("saga", "key", "action", *_VALUES)
_ALL = select(*(JOURNAL.c[name] for name in _COLUMNS))
# By the first two columns of the primary key. By key alone, the database would read the whole journal.
_OF_SAGA = _ALL.where(JOURNAL.c.saga == bindparam("the_saga")).order_by(JOURNAL.c.key, JOURNAL.c.action)
_LOAD = Lookup(_OF_SAGA, JOURNAL.c.key, ["the_saga"])
_LOAD_LOCKED = Lookup(_OF_SAGA.with_for_update(), JOURNAL.c.key, ["the_saga"])
_OF_KEY = Prepared(_ALL.where(JOURNAL.c.key == bindparam("the_key")), ["the_key"])
_INSERT = bulk_insert(JOURNAL, _COLUMNS)
_UPDATE = bulk_update(JOURNAL, ("saga", "key", "action"), _COLUMNS)
_STATES = {state.value: state for state in State}


class Journal:
    """The journal entries of the instances of one group. With `locked=False` they are read without a lock."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._load = _LOAD_LOCKED if locked else _LOAD
        # By saga, key and action, which are the first fields of an entry.
        self._entries: dict[tuple[str, ...], Entry] = {}
        self._new: set[tuple[str, ...]] = set()
        self._changed: set[tuple[str, ...]] = set()

    def load(self, instances: Iterable[Instance]) -> None:
        """Read the entries of these instances."""
        for saga, keys in keys_by_saga(instances):
            for row in self._load.rows(self._connection, keys, saga):
                self._entries[tuple(row[:3])] = _entry(row)

    def entries(self) -> list[Entry]:
        """All entries that were read or recorded."""
        return list(self._entries.values())

    def entry(self, instance: Instance, action: str) -> Entry | None:
        """The entry of an action for an instance, or None."""
        return self._entries.get((*instance, action))

    def record(self, entry: Entry) -> None:
        """Add an entry, or replace the one of the same instance and action."""
        key = entry[:3]
        if key not in self._entries:
            self._new.add(key)
        elif key not in self._new:
            self._changed.add(key)
        self._entries[key] = entry

    def undo(self, instance: Instance, action: str, by: str, now: dt.datetime) -> Entry | None:
        """Mark an action as undone and return the entry as it was before.

        None when there is nothing to undo: the action was not begun (this leaves a tombstone), was refused, or was
        undone before.
        """
        entry = self.entry(instance, action)
        if entry is None:
            self.record(Entry(*instance, action, State.TOMBSTONE, now, {}, by, undone_at=now, undone_by=by))
            return None
        if entry.state in UNDOABLE:
            self.record(entry._replace(state=State.UNDONE, undone_at=now, undone_by=by))
            return entry
        return None

    def write(self) -> None:
        """Write the new and the replaced entries, in key order."""
        _INSERT.run(self._connection, [_row(self._entries[key]) for key in sorted(self._new)])
        changed = (_row(self._entries[key]) for key in sorted(self._changed))
        _UPDATE.run(self._connection, list(changed))


def journal_of(connection: Connection, key: str, saga: str | None = None) -> list[Entry]:
    """The journal of the instances with that key, of every saga or of one; oldest entry first."""
    rows = _OF_KEY.rows(connection, key) if saga is None else _LOAD.rows(connection, [key], saga)
    return sorted(map(_entry, rows), key=lambda entry: entry.at)


def open_actions(connection: Connection, instances: Iterable[Instance], actions: Iterable[str]) -> list[Entry]:
    """The entries of `instances` for those of `actions` that were begun or done and are not undone."""
    undoable = _OF_SAGA.where(JOURNAL.c.action.in_(sorted(actions)), JOURNAL.c.state.in_(UNDOABLE))
    found = Lookup(undoable, JOURNAL.c.key, ["the_saga"])
    rows = [row for saga, keys in keys_by_saga(instances) for row in found.rows(connection, keys, saga)]
    return sorted(map(_entry, rows), key=lambda entry: entry.at)


def _entry(row: Sequence[Any]) -> Entry:
    saga, key, action, state, at, data, *rest = row
    noted = {} if data == _NOTHING else json.loads(data)
    return Entry(saga, key, action, _STATES[state], at, noted, *rest)


_NOTHING = "{}"
_written = json.JSONEncoder(sort_keys=True).encode  # json.dumps would create an encoder for each entry


def _row(entry: Entry) -> tuple[Any, ...]:
    data = _written(entry.data) if entry.data else _NOTHING
    return (entry.saga, entry.key, entry.action, entry.state.value, entry.at, data, *entry[6:])
