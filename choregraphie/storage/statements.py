"""Statements of the delivery path: SQLAlchemy compiles each of them once, and the driver executes them directly.

SQLAlchemy knows the dialects and converts the values. When it also executes the statements, `Store.commit` takes
more processor time for a delivery to stock (2 cores, medians of nine, interleaved; `docs/performance.md`):

    group of    SQLite                 PostgreSQL 15
           1    1.47 times as much     1.33
          16    1.30                   1.49
          64    1.21                   1.21
         128    1.42                   1.13
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    ClauseElement,
    Column,
    Connection,
    Dialect,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    true,
)

Convert = Callable[[Any], Any]
Values = Sequence[Any]


class Prepared:
    """A statement with named parameters. Their values are given in the order of `parameters`."""

    def __init__(self, statement: ClauseElement, parameters: Sequence[str]) -> None:
        self._statement = statement
        self._parameters = tuple(parameters)
        self._on: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, *values: Any) -> list[Any]:
        """The rows of a query. Raises the driver's own errors, as every method here does."""
        ready = self._ready(connection)
        cursor = cursor_of(connection)
        cursor.execute(ready.text, ready.bind(values))
        found: list[Any] = cursor.fetchall()
        cursor.close()
        return ready.read(found)

    def run(self, connection: Connection, *values: Any) -> int:
        """Execute the statement; returns how many rows it changed."""
        ready = self._ready(connection)
        cursor = cursor_of(connection)
        cursor.execute(ready.text, ready.bind(values))
        touched: int = cursor.rowcount
        cursor.close()
        return touched

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute the statement once for each of `rows`, which may be empty."""
        if not rows:
            return
        ready = self._ready(connection)
        cursor = cursor_of(connection)
        if len(rows) == 1:  # a third less for the groups of one of an idle worker
            cursor.execute(ready.text, ready.bind(rows[0]))
        else:
            cursor.executemany(ready.text, ready.bind_all(rows))
        cursor.close()

    def _ready(self, connection: Connection) -> "_Compiled":
        name = connection.dialect.name
        if name not in self._on:
            self._on[name] = _compiled(self._statement, self._parameters, connection.dialect)
        return self._on[name]


class Lookup:
    """A query for the rows whose `column` is one of any number of keys. `given`: parameters of `query` itself.

    PostgreSQL takes the keys as one array and looks for each of them. How it reads `column = ANY (keys)` depends
    on its statistics; of a new table, which has none, it reads all. Elsewhere a statement with another number
    of parameters is compiled and planned anew, so the numbers are powers of two, and the last key is repeated to
    fill the parameters.
    """

    def __init__(self, query: Select[Any], column: Column[Any], given: Sequence[str] = ()) -> None:
        self._query = query
        self._column = column
        self._given = given
        self._by_size: dict[int, Prepared] = {}

    def rows(self, connection: Connection, keys: Sequence[str], *given: Any) -> list[Any]:
        """The rows of `keys`, which holds no key twice.

        In the order of the query within each 512 keys. On PostgreSQL they come, and are locked, in the order of
        `keys`, and of the query for each.
        """
        if connection.dialect.name == "postgresql":
            return self._by_array.rows(connection, *given, [*keys]) if keys else []
        if not keys:
            return []
        if len(keys) > _LARGEST:
            first, rest = keys[:_LARGEST], keys[_LARGEST:]
            return [*self.rows(connection, first, *given), *self.rows(connection, rest, *given)]
        size = 1 << (len(keys) - 1).bit_length()
        return self._for(size).rows(connection, *given, *keys, *[keys[-1]] * (size - len(keys)))

    @cached_property
    def _by_array(self) -> Prepared:
        keys = func.unnest(bindparam("keys", type_=ARRAY(Text()))).table_valued("key").render_derived()
        # OFFSET 0 skips nothing; with it, the query of a key is never planned as a join with the whole table.
        one = self._query.where(self._column == keys.c.key).offset(literal_column("0"))
        found = one.lateral(self._column.table.name)
        return Prepared(select(*found.c).select_from(keys).join(found, true()), [*self._given, "keys"])

    def _for(self, size: int) -> Prepared:
        if size not in self._by_size:
            names = [f"key_{number}" for number in range(size)]
            query = self._query.where(self._column.in_([bindparam(name) for name in names]))
            self._by_size[size] = Prepared(query, [*self._given, *names])
        return self._by_size[size]


# SQLite takes 32 766 variables a statement.
_LARGEST = 512


@contextmanager
def answered_together(connection: Connection) -> Iterator[None]:
    """The statements of the block return no rows: a server is waited for once, at the end, not for each of them.

    So an error of one may be raised by a later one, or at the end. Without libpq 14, each is waited for.
    """
    driver: Any = connection.dialect.dbapi
    if connection.dialect.name == "postgresql" and driver.Pipeline.is_supported():
        own: Any = connection.connection.dbapi_connection
        with own.pipeline():
            yield
    else:
        yield


def cursor_of(connection: Connection) -> Any:
    """A cursor of the driver in the transaction of `connection`."""
    driver: Any = connection.connection.dbapi_connection  # the pool's own method takes 0.5 µs more
    return driver.cursor()


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in one dialect: its text, and the conversions of values to and from the driver.

    `constants`: values that are part of the statement; they follow the given ones. `order`: the index of the value
    for each parameter in the text; empty when the order is that of the given values, None when the text names its
    parameters.
    """

    text: str
    names: tuple[str, ...]
    constants: tuple[Any, ...]
    order: tuple[int, ...] | None
    binds: tuple[tuple[int, Convert], ...]
    reads: tuple[tuple[int, Convert], ...]

    def bind(self, given: Values) -> Any:
        values = [*given, *self.constants]
        for place, convert in self.binds:
            values[place] = convert(values[place])
        if self.order is None:
            return dict(zip(self.names, values, strict=True))
        return [values[place] for place in self.order] if self.order else values

    def bind_all(self, rows: Sequence[Values]) -> list[Any]:
        """`bind` of each of `rows`, column by column: a third of the time."""
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True), *([one] * len(rows) for one in self.constants)]
        for place, convert in self.binds:
            columns[place] = converted(convert, columns[place])
        if self.order is None:
            return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]
        return [*zip(*([columns[place] for place in self.order] if self.order else columns), strict=True)]

    def read(self, rows: list[Any]) -> list[Any]:
        return [self._read(row) for row in rows] if self.reads else rows

    def _read(self, row: Values) -> Values:
        values = list(row)
        for place, convert in self.reads:
            values[place] = convert(values[place])
        return values


def _compiled(statement: ClauseElement, parameters: tuple[str, ...], dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(parameters))
    # Expands the lists of the statement's own IN clauses.
    whole = compiled.construct_expanded_state(dict.fromkeys(parameters))
    types = {name: parameter.type for name, parameter in compiled.binds.items()}
    types |= {name: types[of] for of, names in whole.parameter_expansion.items() for name in names}
    own = tuple(name for name in whole.parameters if name not in parameters)
    converts = {
        name: type_.dialect_impl(dialect).bind_processor(dialect) or _unchanged for name, type_ in types.items()
    }
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    return _Compiled(
        text=whole.statement,
        names=(*parameters, *own),
        constants=tuple(converts[name](whole.parameters[name]) for name in own),
        order=_order((*parameters, *own), whole.positiontup),
        binds=_needed({place: converts.get(name) for place, name in enumerate(parameters)}),
        reads=_needed(dict(enumerate(readers))),
    )


def converted(convert: Convert, values: Values) -> list[Any]:
    """`convert` of each of `values`, at least one; called once when all are one object, as times are."""
    if len(set(map(id, values))) == 1:
        return [convert(values[0])] * len(values)
    return [convert(value) for value in values]


def _needed(converts: Mapping[int, Convert | None]) -> tuple[tuple[int, Convert], ...]:
    return tuple((place, convert) for place, convert in converts.items() if convert and convert is not _unchanged)


def _unchanged(value: Any) -> Any:
    return value


def _order(names: tuple[str, ...], in_text: list[str] | None) -> tuple[int, ...] | None:
    if in_text is None:
        return None
    return () if tuple(in_text) == names else tuple(map(names.index, in_text))
