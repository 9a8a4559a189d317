"""Prepared statements: SQLAlchemy's dialects and conversions, executed by the driver."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
)

from choregraphie import Instant, Money
from choregraphie.storage.statements import Lookup, Prepared
from choregraphie.testing import ServiceHarness
from tests.support.statements import watching

THINGS = Table(
    "things",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("worth", Money),
    Column("at", Instant),
    Column("bytes", LargeBinary),
    Column("sold", Boolean),
    Column("many", Integer),
)
# In another order than in the table.
NAMES = ("many", "name", "sold", "bytes", "at", "worth")
INSERT = Prepared(insert(THINGS), NAMES)
FIND = Lookup(select(*(THINGS.c[name] for name in NAMES)).order_by(THINGS.c.name), THINGS.c.name)
NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.fixture
def connection(harness: ServiceHarness) -> Iterator[Connection]:
    with harness.database.begin() as connection:
        THINGS.create(connection)
        yield connection


def test_values_are_read_back_as_they_were_written(connection: Connection) -> None:
    rows = [
        (3, "A", True, b"\x00\xff", NOON, Decimal("12.30")),
        (None, "B", None, None, None, None),
    ]
    INSERT.run_many(connection, rows)
    assert [tuple(row) for row in FIND.rows(connection, ["A", "B"])] == rows
    # SQLAlchemy itself reads the same values.
    assert [tuple(row) for row in connection.execute(select(THINGS).order_by(THINGS.c.name))] == [
        ("A", Decimal("12.30"), NOON, b"\x00\xff", True, 3),
        ("B", None, None, None, None, None),
    ]


def test_a_value_that_the_column_type_refuses_is_an_error(connection: Connection) -> None:
    with pytest.raises(ValueError, match="whole number of cents"):
        INSERT.run_many(connection, [(1, "A", True, b"", NOON, Decimal("0.001"))])


def test_nothing_is_sent_for_no_rows_and_no_keys(harness: ServiceHarness, connection: Connection) -> None:
    def none(statement: str) -> None:
        raise AssertionError(statement)

    with watching(harness.database, none):
        INSERT.run_many(connection, [])
        assert FIND.rows(connection, []) == []


def test_constants_of_a_statement_are_sent_with_the_given_values(connection: Connection) -> None:
    INSERT.run_many(connection, [(n, f"T-{n}", n % 2 == 0, None, None, None) for n in range(6)])
    unsold = delete(THINGS).where(THINGS.c.sold == False, THINGS.c.many >= bindparam("least"))  # noqa: E712
    assert Prepared(unsold, ["least"]).run(connection, 3) == 2
    assert [row[1] for row in FIND.rows(connection, [f"T-{n}" for n in range(6)])] == ["T-0", "T-1", "T-2", "T-4"]


def test_constants_of_a_statement_are_sent_with_each_of_many_rows(connection: Connection) -> None:
    INSERT.run_many(connection, [(n, f"T-{n}", n % 2 == 0, None, None, None) for n in range(6)])
    unsold = delete(THINGS).where(THINGS.c.sold == False, THINGS.c.name == bindparam("the_name"))  # noqa: E712
    Prepared(unsold, ["the_name"]).run_many(connection, [(f"T-{n}",) for n in range(4)])
    assert [row[1] for row in FIND.rows(connection, [f"T-{n}" for n in range(6)])] == ["T-0", "T-2", "T-4", "T-5"]


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 511, 512, 513, 1201])
def test_any_number_of_keys_finds_each_row_once_and_in_order(connection: Connection, wanted: int) -> None:
    INSERT.run_many(connection, [(n, f"N-{n:04}", None, None, None, None) for n in range(1300)])
    found = FIND.rows(connection, [f"N-{n:04}" for n in range(50, 50 + wanted)])
    assert [row[0] for row in found] == list(range(50, min(50 + wanted, 1300)))


def test_lookups_of_all_sizes_share_a_few_statements(harness: ServiceHarness, connection: Connection) -> None:
    sent: list[str] = []
    with watching(harness.database, sent.append):
        for size in range(1, 200):
            FIND.rows(connection, [f"N-{n}" for n in range(size)])
    assert len(sent) == 199
    # One with an array, or with 1, 2, 4, … 256 parameters.
    assert len(set(sent)) == (1 if connection.dialect.name == "postgresql" else 9)
