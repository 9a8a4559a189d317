"""The instances of an orchestrated saga: a row each, in the database of the orchestrator."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, make_dataclass
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import Boolean, Column, Connection, Index, Integer, MetaData, Select, Table, Text, func, select

from choregraphie.saga.envelope import Instance
from choregraphie.service.column_types import Instant
from choregraphie.service.rows import Row
from choregraphie.service.service import NOW


@dataclass
class InstanceRow(Row):
    """An orchestrated instance.

    version  of the declaration that wrote it
    state    one of the machine's states, for people and queries; `progress` holds all of it, as JSON
    context  the data of what was heard, as JSON
    reason   why it is cancelled
    review   whether a person must look
    since    when the commands that are awaited now were said
    due      when one of their answers is too late; NULL when nothing is awaited
    cause    the id of the event that was heard last
    waits    until when a demand to cancel waits for the start event
    """

    TABLE: ClassVar[Table]

    version: int
    state: str
    progress: str
    context: str
    reason: str
    review: bool
    since: dt.datetime | None
    due: dt.datetime | None
    cause: str | None
    waits: dt.datetime | None

    @classmethod
    def new(cls, key: str, version: int) -> "InstanceRow":
        """A row of which nothing is known yet. The key is the last field."""
        empty: tuple[Any, ...] = (version, "", "{}", "{}", "", False, None, None, None, None, key)
        return cls(*empty)


@cache
def instance_row(table: str, key: str) -> type[InstanceRow]:
    """The class of the rows in `table`, whose last field and primary key is `key`.

    A type of its own for each saga: a schedule finds the key of an instance by the name that its events give it.
    """
    columns = Table(
        table,
        MetaData(),
        Column(key, Text, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("progress", Text, nullable=False),
        Column("context", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("review", Boolean, nullable=False),
        Column("since", Instant),
        Column("due", Instant),
        Column("cause", Text),
        Column("waits", Instant),
        Index(f"{table}_due", "due"),
        Index(f"{table}_waits", "waits"),
    )
    return make_dataclass("InstanceRow", [(key, str)], bases=(InstanceRow,), namespace={"TABLE": columns})


def due(row: type[InstanceRow], version: int) -> Select[Any]:
    """The instances whose answer is too late, and that a worker of `version` understands."""
    table = row.TABLE
    return select(*table.primary_key).where(table.c.due <= NOW, table.c.version <= version).order_by(table.c.due)


def never_started(row: type[InstanceRow]) -> Select[Any]:
    """Demands to cancel what has not begun, and cannot begin any more."""
    return select(*row.TABLE.primary_key).where(row.TABLE.c.waits < NOW).order_by(row.TABLE.c.waits)


def counts(row: type[InstanceRow], connection: Connection) -> dict[str, int]:
    """How many instances are in each state, and how many need a person."""
    state, review = row.TABLE.c.state, row.TABLE.c.review
    found: dict[str, int] = dict(connection.execute(select(state, func.count()).group_by(state)).all())
    return found | {"review": connection.scalar(select(func.count()).where(review)) or 0}


def in_states(
    row: type[InstanceRow], connection: Connection, saga: str, states: Iterable[str]
) -> Iterator[Instance]:
    """The instances in one of `states`, sorted by key."""
    (key,) = row.TABLE.primary_key
    query = select(key).where(row.TABLE.c.state.in_(tuple(states))).order_by(key)
    return (Instance(saga, key) for key in connection.scalars(query))
