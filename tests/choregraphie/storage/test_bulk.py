"""Many rows are written as each of them would be, whatever the database and the types of the columns."""

import datetime as dt
import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Enum,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
)

from choregraphie import Instant, Money
from choregraphie.storage.bulk import Bulk, bulk_insert, bulk_update
from choregraphie.testing import ServiceHarness
from tests.support.statements import watching


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


TABLES = MetaData()
THINGS = Table(
    "things",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("worth", Money),
    Column("at", Instant),
    Column("bytes", LargeBinary),
    Column("sold", Boolean),
    Column("many", Integer),
)
# Of types that are not sent in arrays.
OTHERS = Table(
    "others",
    TABLES,
    Column("name", String(9), primary_key=True),
    Column("colour", Enum(Colour)),
    Column("at", DateTime(timezone=True)),
)
SHORT = Table("short", TABLES, Column("name", String(3), primary_key=True))
# In another order than in the table.
NAMES = ("many", "name", "sold", "bytes", "at", "worth")
NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
ROWS = [
    (3, "A", True, b"\x00\xff", NOON, Decimal("12.30")),
    (None, "B", None, None, None, None),
    (2**31 - 1, 'C {",}\\', False, b"", NOON, Decimal(0)),
    (-1, "NULL", False, b"x" * 5000, NOON, Decimal("-1.50")),
]


@pytest.fixture
def connection(harness: ServiceHarness) -> Iterator[Connection]:
    with harness.database.begin() as connection:
        TABLES.create_all(connection)
        yield connection


def stored(connection: Connection, table: Table, *names: str) -> list[Any]:
    columns = [table.c[name] for name in names]
    return [tuple(row) for row in connection.execute(select(*columns).order_by(table.c.name))]


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_inserted_rows_are_read_back(connection: Connection, count: int) -> None:
    bulk_insert(THINGS, NAMES).run(connection, ROWS[:count])
    assert stored(connection, THINGS, *NAMES) == ROWS[:count]


def test_columns_without_any_value_are_written(connection: Connection) -> None:
    rows = [(None, name, None, None, None, None) for name in "AB"]
    bulk_insert(THINGS, NAMES).run(connection, rows)
    assert stored(connection, THINGS, *NAMES) == rows


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_rows_with_the_given_keys_are_changed_and_no_others(connection: Connection, count: int) -> None:
    bulk_insert(THINGS, NAMES).run(connection, ROWS)
    changed = [(9, name, None, b"new", None, Decimal(7)) for _, name, *_ in ROWS[:count]]
    bulk_update(THINGS, ["name"], NAMES).run(connection, changed)
    assert stored(connection, THINGS, *NAMES) == changed + ROWS[count:]


def test_a_key_may_be_of_several_columns_and_need_not_exist(connection: Connection) -> None:
    bulk_insert(THINGS, NAMES).run(connection, ROWS)
    update = bulk_update(THINGS, ["name", "many"], ["many", "name", "sold"])
    update.run(connection, [(3, "A", False), (4, "A", True), (2, "Z", True)])
    assert stored(connection, THINGS, "name", "sold")[:2] == [("A", False), ("B", None)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_value_that_the_column_type_refuses_is_an_error(connection: Connection, count: int) -> None:
    rows = [(1, f"A{number}", True, b"", NOON, Decimal("0.001")) for number in range(count)]
    with pytest.raises(ValueError, match="whole number of cents"):
        bulk_insert(THINGS, NAMES).run(connection, rows)


def test_types_that_are_not_sent_in_arrays_are_written_too(connection: Connection) -> None:
    rows = [("A", Colour.RED, NOON), ("B", Colour.BLUE, None)]
    bulk_insert(OTHERS, ("name", "colour", "at")).run(connection, rows)
    bulk_update(OTHERS, ["name"], ("name", "colour")).run(connection, [("A", None), ("B", Colour.RED)])
    assert stored(connection, OTHERS, "name", "colour") == [("A", None), ("B", Colour.RED)]


def test_a_text_is_never_cut(harness: ServiceHarness, connection: Connection) -> None:
    if connection.dialect.name == "sqlite":  # which has no limits
        bulk_insert(SHORT, ["name"]).run(connection, [("four",), ("five5",)])
        assert stored(connection, SHORT, "name") == [("five5",), ("four",)]
        return
    with pytest.raises(harness.database.driver.DataError):
        bulk_insert(SHORT, ["name"]).run(connection, [("four",), ("five5",)])


@pytest.mark.parametrize("change", [bulk_insert(THINGS, NAMES), bulk_update(THINGS, ["name"], NAMES)])
def test_any_number_of_rows_is_one_statement(
    harness: ServiceHarness, connection: Connection, change: Bulk
) -> None:
    sent: list[str] = []
    with watching(harness.database, sent.append):
        for count in (2, 300):
            change.run(connection, [(n, f"{count}-{n}", None, None, None, None) for n in range(count)])
    assert len(sent) == 2
    assert len(set(sent)) == 1
