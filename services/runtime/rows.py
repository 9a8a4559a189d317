"""The unit of work: rows loaded for a whole group, changed in memory, written together.

A reaction sends no statement. Rows wanted by a group are read with one statement per table, locked in key
order; what changed or is new is written with one statement per table. So a group costs a handful of
statements whatever its size, a row that many of its messages touch is written once, and two workers that
want the same rows take them in the same order.
"""

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

from sqlalchemy import Column, Connection, Table, bindparam, insert, select, update

from services.runtime.errors import NotRead

# SQLite takes 32 766 variables a statement, and a statement's plan is cached by its length.
_KEYS_PER_STATEMENT = 500

Key = tuple["type[Row]", str]


@dataclass_transform()
class Row:
    """A row as a plain object: a dataclass whose fields are the columns of `TABLE`, with one text primary key."""

    TABLE: ClassVar[Table]

    @classmethod
    def at(cls, key: str) -> Key:
        """Names the row of that primary key, for `reads`."""
        return cls, key

    @classmethod
    def key_column(cls) -> Column[Any]:
        return _key_column(cls.TABLE)

    def key(self) -> str:
        return str(getattr(self, self.key_column().name))

    def values(self) -> dict[str, Any]:
        # Whoever derives from this is a dataclass, as `dataclass_transform` tells a checker; this itself is none.
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


R = TypeVar("R", bound=Row)


class Unit:
    """The rows of one group. `locked=False` is for a look that writes nothing."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._locked = locked
        self._rows: dict[Key, Row | None] = {}
        self._before: dict[Key, dict[str, Any]] = {}

    def load(self, keys: Iterable[Key]) -> None:
        """Read the rows of `keys` that are not here yet; one that does not exist is known not to."""
        wanted: dict[type[Row], set[str]] = {}
        for key in keys:
            if key not in self._rows:
                wanted.setdefault(key[0], set()).add(key[1])
        for cls in sorted(wanted, key=lambda cls: cls.TABLE.name):
            self._load(cls, sorted(wanted[cls]))

    def _load(self, cls: type[R], keys: list[str]) -> None:
        query = _select(cls.TABLE, self._locked)
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            some = keys[start : start + _KEYS_PER_STATEMENT]
            self._rows.update(dict.fromkeys(((cls, key) for key in some), None))
            for found in self._connection.execute(query, {"keys": some}):
                row = cls(**found._mapping)
                self._rows[cls, row.key()] = row
                self._before[cls, row.key()] = row.values()

    def find(self, cls: type[R], key: str) -> R | None:
        """The row, or None when there is none. Raises NotRead when nobody asked for it to be loaded."""
        try:
            # A key names the class of its row.
            return cast("R | None", self._rows[cls, key])
        except KeyError:
            raise NotRead(f"{cls.__name__} {key!r} is not among the rows that `reads` names") from None

    def add(self, row: Row) -> None:
        """A new row. Raises ValueError when it exists."""
        key = (type(row), row.key())
        if self._rows.get(key) is not None:
            raise ValueError(f"{type(row).__name__} {row.key()!r} exists already")
        self._rows[key] = row

    def write(self) -> None:
        """Send what is new and what changed, table by table, in key order."""
        new: dict[type[Row], list[dict[str, Any]]] = {}
        changed: dict[type[Row], list[dict[str, Any]]] = {}
        for key in sorted(self._rows, key=lambda key: (key[0].TABLE.name, key[1])):
            row = self._rows[key]
            if row is None:
                continue
            values = row.values()
            if key not in self._before:
                new.setdefault(key[0], []).append(values)
            elif values != self._before[key]:
                changed.setdefault(key[0], []).append(values)
        for cls, rows in new.items():
            self._connection.execute(_insert(cls.TABLE), rows)
        for cls, rows in changed.items():
            self._connection.execute(_update(cls.TABLE), [_bound(cls, row) for row in rows])


# Each built once: to build a statement costs as much as to send it.
@cache
def _select(table: Table, locked: bool) -> Any:
    key = _key_column(table)
    query = select(table).where(key.in_(bindparam("keys", expanding=True))).order_by(key)
    return query.with_for_update() if locked else query


@cache
def _insert(table: Table) -> Any:
    return insert(table)


@cache
def _update(table: Table) -> Any:
    key = _key_column(table)
    rest: dict[str, Any] = {c.name: bindparam(f"new_{c.name}") for c in table.columns if c is not key}
    return update(table).where(key == bindparam("the_key")).values(rest)


def _key_column(table: Table) -> Column[Any]:
    (column,) = table.primary_key.columns
    return column


def _bound(cls: type[Row], values: dict[str, Any]) -> dict[str, Any]:
    key = cls.key_column().name
    return {"the_key": values[key]} | {f"new_{name}": v for name, v in values.items() if name != key}
