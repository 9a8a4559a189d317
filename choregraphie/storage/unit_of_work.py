"""The unit of work: loads the rows of a whole group, lets reactions change them in memory, and writes them once.

A reaction sends no statement. The rows that a group wants are read with one statement per table and locked in key
order; new and changed rows are written with one statement per table each. So a group costs a handful of statements
whatever its size, a row that many of its deliveries change is written once, and two workers that want the same
rows lock them in the same order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, select

from choregraphie.errors import RowNotDeclared
from choregraphie.service.rows import Key, R, Row, Shape, shape_of
from choregraphie.storage.bulk import Bulk, bulk_insert, bulk_update
from choregraphie.storage.statements import Lookup


class UnitOfWork:
    """The rows of one group. `locked=False` reads them without a lock, for a caller that writes nothing."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._locked = locked
        self._rows: dict[Key, Row | None] = {}
        self._before: dict[Key, tuple[Any, ...]] = {}

    def load(self, keys: Iterable[Key]) -> None:
        """Read the rows of `keys` that are not loaded yet, and remember which of them do not exist."""
        wanted: dict[type[Row], set[str]] = {}
        for key in keys:
            if key not in self._rows:
                wanted.setdefault(key[0], set()).add(key[1])
        for cls in sorted(wanted, key=lambda cls: cls.TABLE.name):
            self._load(cls, sorted(wanted[cls]))

    def _load(self, cls: type[R], keys: list[str]) -> None:
        statements = _statements_of(cls)
        query = statements.select_locked if self._locked else statements.select
        self._rows.update(dict.fromkeys(((cls, key) for key in keys), None))
        for values in query.rows(self._connection, keys):
            key = (cls, str(values[statements.shape.place]))
            self._rows[key] = cls(*values)
            self._before[key] = tuple(values)

    def find(self, cls: type[R], key: str) -> R | None:
        """The row, or None when it does not exist. Raises RowNotDeclared when it was not loaded."""
        try:
            # The first half of a key is the class of its row.
            return cast("R | None", self._rows[cls, key])
        except KeyError:
            raise RowNotDeclared(f"{cls.__name__} {key!r} is not among the rows that `reads` names") from None

    def add(self, row: Row) -> None:
        """Add a new row. Raises ValueError when it exists."""
        key = (type(row), row.primary_key())
        if self._rows.get(key) is not None:
            raise ValueError(f"{type(row).__name__} {row.primary_key()!r} exists already")
        self._rows[key] = row

    def write(self) -> None:
        """Write the new and the changed rows, table by table, in key order."""
        new: dict[type[Row], dict[str, tuple[Any, ...]]] = {}
        changed: dict[type[Row], dict[str, tuple[Any, ...]]] = {}
        for key, row in self._rows.items():
            if row is None:
                continue
            cls, primary_key = key
            before, values = self._before.get(key), shape_of(cls).values(row)
            if values != before:
                (new if before is None else changed).setdefault(cls, {})[primary_key] = values
        for cls in sorted({*new, *changed}, key=lambda cls: cls.TABLE.name):
            statements = _statements_of(cls)
            statements.insert.run(self._connection, _in_key_order(new.get(cls, {})))
            statements.update.run(self._connection, _in_key_order(changed.get(cls, {})))


def _in_key_order(rows: dict[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [values for _, values in sorted(rows.items())]


def unlocked_rows(connection: Connection, cls: type[R], keys: Iterable[str]) -> list[R]:
    """Those of the rows that exist, read without a lock: they may change before they are locked."""
    unit = UnitOfWork(connection, locked=False)
    wanted = sorted(keys)
    unit.load(cls.at(key) for key in wanted)
    return [row for key in wanted if (row := unit.find(cls, key)) is not None]


@dataclass(frozen=True)
class _Statements:
    """The statements that read and write the rows of one class."""

    shape: Shape
    select: Lookup
    select_locked: Lookup
    insert: Bulk
    update: Bulk


_STATEMENTS: dict[type[Row], _Statements] = {}


def _statements_of(cls: type[Row]) -> _Statements:
    if cls not in _STATEMENTS:
        _STATEMENTS[cls] = _make_statements(cls)
    return _STATEMENTS[cls]


def _make_statements(cls: type[Row]) -> _Statements:
    shape, table = shape_of(cls), cls.TABLE
    key = table.c[shape.key]
    query = select(*(table.c[name] for name in shape.names)).order_by(key)
    return _Statements(
        shape=shape,
        select=Lookup(query, key),
        select_locked=Lookup(query.with_for_update(), key),
        insert=bulk_insert(table, shape.names),
        update=bulk_update(table, [shape.key], shape.names),
    )
