"""Inserts and updates of many rows: PostgreSQL takes them in one statement, as arrays; SQLite one after the other.

SQLite runs in this process, and executing a statement again costs little. For a server each row is a message of
its own: to write, to plan, to answer.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ClauseElement,
    Column,
    Connection,
    Dialect,
    Enum,
    FromClause,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from choregraphie.storage.statements import Prepared, Values, converted

# The types of the arrays, by those of the columns. Not the columns' own: a cast to VARCHAR(9) cuts a text, and the
# column itself refuses it.
_OF_ARRAYS: dict[type[TypeEngine[Any]], TypeEngine[Any]] = {
    String: Text(),
    Integer: BigInteger(),
    Boolean: Boolean(),
    LargeBinary: LargeBinary(),
}


class Bulk:
    """A change of many rows of `table`; a row has the values of the columns `names`.

    `each` changes one row. `at_once` makes the statement for the rows of a table with these columns.
    """

    def __init__(
        self, table: Table, names: Sequence[str], each: Prepared, at_once: Callable[[FromClause], ClauseElement]
    ) -> None:
        self._columns = [table.c[name] for name in names]
        self._each = each
        self._at_once = at_once
        self._in_arrays: _Arrays | None = None

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Change `rows`, of which there may be none. Raises the driver's own errors."""
        if len(rows) > 1 and connection.dialect.name == "postgresql":
            self._in_arrays = self._in_arrays or _Arrays(self._columns, self._at_once, connection.dialect)
            if self._in_arrays.possible:
                self._in_arrays.run(connection, rows)
                return
        self._each.run_many(connection, rows)


class _Arrays:
    """A change of rows that are given as one array for each column. `possible`: all columns have plain types."""

    def __init__(
        self, columns: Sequence[Column[Any]], at_once: Callable[[FromClause], ClauseElement], dialect: Dialect
    ) -> None:
        types = [_of_array(one.type, dialect) for one in columns]
        self.possible = None not in types
        self._converts = [
            one.type.dialect_impl(dialect).bind_processor(dialect) if isinstance(one.type, TypeDecorator) else None
            for one in columns
        ]
        if self.possible:
            names = [f"all_{one.name}" for one in columns]
            arrays = (
                bindparam(name, type_=ARRAY(type_ or Text())) for name, type_ in zip(names, types, strict=True)
            )
            given = func.unnest(*arrays).table_valued(*(column(one.name) for one in columns), name="given")
            self._statement = Prepared(at_once(given.render_derived()), names)

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        lists = [
            converted(convert, values) if convert else [*values]
            for convert, values in zip(self._converts, zip(*rows, strict=True), strict=True)
        ]
        self._statement.run(connection, *lists)


def _of_array(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any] | None:
    plain = type_.load_dialect_impl(dialect) if isinstance(type_, TypeDecorator) else type_
    if isinstance(plain, Enum):  # a text of the database's, and no text for it
        return None
    return next((of_array for known, of_array in _OF_ARRAYS.items() if isinstance(plain, known)), None)


def bulk_insert(table: Table, names: Sequence[str]) -> Bulk:
    """Insert rows, in their order."""
    each = Prepared(insert(table).inline(), names)
    return Bulk(table, names, each, lambda given: insert(table).inline().from_select([*names], select(*given.c)))


def bulk_update(table: Table, keys: Sequence[str], names: Sequence[str]) -> Bulk:
    """Change the columns `names` of the rows whose `keys`, which are among `names`, have the given values."""
    parameters = {name: f"the_{name}" if name in keys else f"new_{name}" for name in names}
    new: dict[str, Any] = {name: bindparam(parameters[name]) for name in names if name not in keys}
    one = update(table).where(*(table.c[name] == bindparam(parameters[name]) for name in keys)).values(new)

    def at_once(given: FromClause) -> ClauseElement:
        same = (table.c[name] == given.c[name] for name in keys)
        return update(table).where(*same).values({name: given.c[name] for name in new})

    return Bulk(table, names, Prepared(one, [*parameters.values()]), at_once)
