"""The outbox of a client: events decided in the client's own database and transactions, until they are published.

Every statement goes through SQLAlchemy's execution, because the connection is the client's, with a driver of its
choice.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)

from choregraphie.messaging import Outgoing, Properties
from choregraphie.saga.envelope import CONTENT_TYPE
from choregraphie.service.column_types import Instant

CLIENT_OUTBOX = Table(
    # The database is the client's, so the name says whose table it is.
    "choregraphie_outbox",
    MetaData(),
    # SQLite numbers only a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("saga", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("published_at", Instant),
    UniqueConstraint("source", "event_id", name="choregraphie_outbox_event"),
)
_PENDING = CLIENT_OUTBOX.c.published_at.is_(None)
# Partial: a relay asks for pending events about twice a second, and nearly all rows are published.
Index("choregraphie_outbox_pending", CLIENT_OUTBOX.c.number, postgresql_where=_PENDING, sqlite_where=_PENDING)
Index("choregraphie_outbox_published", CLIENT_OUTBOX.c.published_at)

_FIELDS = ("number", "event_id", "source", "type", "saga", "key", "exchange", "body", "decided_at")


class DecidedEvent(NamedTuple):
    """An event as it is published. Each publication sends the same bytes. `number` is 0 until it is inserted."""

    number: int
    event_id: str
    source: str
    type: str
    saga: str
    key: str
    exchange: str
    body: bytes
    decided_at: dt.datetime

    def outgoing(self) -> Outgoing:
        """The message of this event."""
        return Outgoing(
            exchange=self.exchange,
            routing_key=self.type,
            body=self.body,
            properties=Properties(
                message_id=self.event_id,
                type=self.type,
                correlation_id=self.key,
                app_id=self.source.rpartition("/")[2],
                timestamp=self.decided_at,
                content_type=CONTENT_TYPE,
            ),
        )


def has_client_outbox(connection: Connection) -> bool:
    """Whether the table exists where the connection looks for tables."""
    return inspect(connection).has_table(CLIENT_OUTBOX.name)


def decide(connection: Connection, event: DecidedEvent) -> None:
    """Insert a decided event. Raises sqlalchemy.exc.IntegrityError when its source has said its id before."""
    values = event._asdict()
    del values["number"]
    connection.execute(insert(CLIENT_OUTBOX).inline(), values)


def last_number(connection: Connection) -> int:
    """The number of the newest event. Reading pages up to it ends, even if more is decided meanwhile."""
    return connection.execute(select(func.max(CLIENT_OUTBOX.c.number))).scalar() or 0


def pending(connection: Connection, most: int, after: int, up_to: int) -> list[DecidedEvent]:
    """Up to `most` pending events numbered above `after` and up to `up_to`, in the order of their decision.

    On PostgreSQL they stay locked until the transaction ends, and those that another relay has locked are skipped.
    """
    query = (
        select(*(CLIENT_OUTBOX.c[name] for name in _FIELDS))
        .where(_PENDING, CLIENT_OUTBOX.c.number > after, CLIENT_OUTBOX.c.number <= up_to)
        .order_by(CLIENT_OUTBOX.c.number)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [DecidedEvent(**row) for row in connection.execute(query).mappings()]


def mark_published(connection: Connection, numbers: Sequence[int], now: dt.datetime) -> None:
    """Mark the events of these numbers, which the broker has confirmed."""
    if numbers:
        confirmed = update(CLIENT_OUTBOX).where(CLIENT_OUTBOX.c.number.in_(numbers))
        connection.execute(confirmed.values(published_at=now))


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Delete up to `most` events published before that instant; returns how many. Pending events are kept."""
    old = select(CLIENT_OUTBOX.c.number).where(CLIENT_OUTBOX.c.published_at < before).limit(most)
    return connection.execute(delete(CLIENT_OUTBOX).where(CLIENT_OUTBOX.c.number.in_(old))).rowcount
