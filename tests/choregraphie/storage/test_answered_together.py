"""Statements that are answered together do what they do one after another, and their errors are their own."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Enum, MetaData, Table, Text, select

from choregraphie.storage import statements
from choregraphie.storage.bulk import bulk_insert, bulk_update
from choregraphie.storage.database import Conflict
from choregraphie.storage.statements import answered_together
from choregraphie.testing import ServiceHarness
from tests.support.event_builders import initiee
from tests.support.statements import Watched

THINGS = Table(
    "things",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("at", Text),
    Column("colour", Enum("red", "blue", name="colour")),
)
INSERT = bulk_insert(THINGS, ["name", "at"])
# No array holds a colour, so each row is a statement of its own.
COLOURED = bulk_insert(THINGS, ["name", "colour"])
MOVE = bulk_update(THINGS, ["name"], ["name", "at"])


@pytest.fixture
def things(harness: ServiceHarness) -> Iterator[ServiceHarness]:
    with harness.database.begin() as connection:
        THINGS.create(connection)
    yield harness


def names(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(THINGS.c.name, THINGS.c.at).order_by(THINGS.c.name))]


def test_they_are_executed_in_their_order(things: ServiceHarness) -> None:
    with things.database.begin() as connection:
        with answered_together(connection):
            INSERT.run(connection, [("A", "here"), ("B", "here")])
            COLOURED.run(connection, [("C", "red"), ("D", "blue")])
            MOVE.run(connection, [("A", "there"), ("C", "there")])
            MOVE.run(connection, [("A", "away")])
        assert names(connection) == [("A", "away"), ("B", "here"), ("C", "there"), ("D", None)]


def test_the_first_error_is_raised_and_nothing_is_kept(things: ServiceHarness) -> None:
    with things.database.begin() as connection:
        INSERT.run(connection, [("A", "here")])
    with (
        pytest.raises(Conflict, match=r"(?i)unique"),
        things.database.begin() as connection,
        answered_together(connection),
    ):
        INSERT.run(connection, [("B", "here"), ("C", "here")])
        INSERT.run(connection, [("A", "again"), ("D", "here")])
        COLOURED.run(connection, [("E", "red"), ("F", "no colour")])
    with things.database.begin() as connection:
        assert names(connection) == [("A", "here")]


def test_an_error_of_the_last_one_is_raised_before_the_commit(things: ServiceHarness) -> None:
    with pytest.raises(Conflict), things.database.begin() as connection:
        with answered_together(connection):
            INSERT.run(connection, [("A", "here"), ("A", "again")])
        raise AssertionError("the error came too late")
    with things.database.begin() as connection:
        assert names(connection) == []


def test_what_a_group_writes_is_answered_together(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: dict[str, bool] = {}
    cursor_of = statements.cursor_of

    def watched(connection: Connection) -> Watched:
        driver: Any = connection.connection.dbapi_connection
        together = connection.dialect.name == "postgresql" and bool(driver.pgconn.pipeline_status)
        return Watched(cursor_of(connection), lambda sent: waiting.update({sent: not together}))

    monkeypatch.setattr(statements, "cursor_of", watched)
    harness.hear(initiee("A", produit_id="A"), initiee("B", produit_id="A"))
    harness.store.commit([], ["some-id", "another-id"])
    writes = {sent: waits for sent, waits in waiting.items() if sent.startswith(("INSERT", "UPDATE"))}
    assert len(writes) == 6
    on_server = harness.database.engine.dialect.name == "postgresql"
    assert set(writes.values()) == {not on_server}
    assert all(waiting[sent] for sent in waiting if sent.startswith("SELECT"))
