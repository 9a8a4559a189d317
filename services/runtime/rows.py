"""The unit of work: rows loaded for a whole group, changed in memory, written together.

A reaction sends no statement. Rows wanted by a group are read with one statement per table, locked in key
order; what changed or is new is written with one statement per table. So a group costs a handful of
statements whatever its size, a row that many of its messages touch is written once, and two workers that
want the same rows take them in the same order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from services.runtime.errors import NotRead
from services.runtime.statements import Lookup, Prepared

Key = tuple["type[Row]", str]


@dataclass_transform()
class Row:
    """A row as a plain object: a dataclass whose fields are the columns of `TABLE`, with one text primary key."""

    TABLE: ClassVar[Table]

    @classmethod
    def at(cls, key: str) -> Key:
        """Names the row of that primary key, for `reads`."""
        return cls, key

    def key(self) -> str:
        return str(getattr(self, _shape(type(self)).key))

    def values(self) -> dict[str, Any]:
        shape = _shape(type(self))
        return dict(zip(shape.names, shape.values(self), strict=True))


R = TypeVar("R", bound=Row)


class Unit:
    """The rows of one group. `locked=False` is for a look that writes nothing."""

    def __init__(self, connection: Connection, *, locked: bool = True) -> None:
        self._connection = connection
        self._locked = locked
        self._rows: dict[Key, Row | None] = {}
        self._before: dict[Key, tuple[Any, ...]] = {}

    def load(self, keys: Iterable[Key]) -> None:
        """Read the rows of `keys` that are not here yet; one that does not exist is known not to."""
        wanted: dict[type[Row], set[str]] = {}
        for key in keys:
            if key not in self._rows:
                wanted.setdefault(key[0], set()).add(key[1])
        for cls in sorted(wanted, key=lambda cls: cls.TABLE.name):
            self._load(cls, sorted(wanted[cls]))

    def _load(self, cls: type[R], keys: list[str]) -> None:
        shape = _shape(cls)
        query = shape.select_locked if self._locked else shape.select
        self._rows.update(dict.fromkeys(((cls, key) for key in keys), None))
        for values in query.rows(self._connection, keys):
            key = (cls, str(values[shape.place]))
            self._rows[key] = cls(*values)
            self._before[key] = tuple(values)

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
        touched = [(key, row) for key, row in self._rows.items() if row is not None and self._differs(key, row)]
        touched.sort(key=lambda pair: (pair[0][0].TABLE.name, pair[0][1]))
        for cls in dict.fromkeys(cls for (cls, _), _ in touched):
            shape = _shape(cls)
            new = [shape.values(row) for key, row in touched if key[0] is cls and key not in self._before]
            changed = [shape.values(row) for key, row in touched if key[0] is cls and key in self._before]
            shape.insert.each(self._connection, new)
            shape.update.each(self._connection, [(values[shape.place], *values) for values in changed])

    def _differs(self, key: Key, row: Row) -> bool:
        return self._before.get(key) != _shape(key[0]).values(row)


@dataclass(frozen=True)
class _Shape:
    """How the rows of a class are read and written. `key` is the name of its primary key, `place` its position."""

    names: tuple[str, ...]
    key: str
    place: int
    values: Callable[[Row], tuple[Any, ...]]
    select: Lookup
    select_locked: Lookup
    insert: Prepared
    update: Prepared


_SHAPES: dict[type[Row], _Shape] = {}


def _shape(cls: type[Row]) -> _Shape:
    if cls not in _SHAPES:
        _SHAPES[cls] = _shape_of(cls)
    return _SHAPES[cls]


def _shape_of(cls: type[Row]) -> _Shape:
    # Whoever derives from Row is a dataclass, as `dataclass_transform` tells a checker; Row itself is none.
    names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]
    table = cls.TABLE
    (key,) = table.primary_key.columns
    query = select(*(table.c[name] for name in names)).order_by(key)
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name != key.name}
    change = update(table).where(key == bindparam("the_key")).values(new)
    return _Shape(
        names=names,
        key=key.name,
        place=names.index(key.name),
        values=_getter(names),
        select=Lookup(query, key),
        select_locked=Lookup(query.with_for_update(), key),
        insert=Prepared(insert(table).inline(), names),
        update=Prepared(change, ["the_key", *(f"new_{name}" for name in names)]),
    )


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda row: (getattr(row, names[0]),)
    return attrgetter(*names)
