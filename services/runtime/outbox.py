"""The outbox: events decided, perhaps not yet said; kept a while after, so that a broker can be refilled."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from contracts.envelope import CONTENT_TYPE
from contracts.topology import TRACEPARENT_HEADER, events
from services.runtime.columns import Instant
from services.runtime.door import Outgoing, Properties
from services.runtime.inbox import METADATA

OUTBOX = Table(
    "outbox",
    METADATA,
    # Rows are said in this order at start. SQLite only numbers a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("commande_id", Text, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("traceparent", Text),
    Column("decided_at", Instant, nullable=False),
    Column("said_at", Instant, index=True),
)

_DECIDE = insert(OUTBOX)
_LAST = select(func.max(OUTBOX.c.number))
_MARK_SAID = update(OUTBOX).where(OUTBOX.c.event_id == bindparam("the_id")).values(said_at=bindparam("now"))


@dataclass(frozen=True, slots=True)
class Saying:
    """An event decided, as it will be said: these bytes and no others, however often."""

    event_id: str
    type: str
    commande_id: str
    body: bytes
    decided_at: dt.datetime
    traceparent: str | None = None

    def outgoing(self, service: str) -> Outgoing:
        return Outgoing(
            exchange=events(service),
            routing_key=self.type,
            body=self.body,
            properties=Properties(
                message_id=self.event_id,
                type=self.type,
                correlation_id=self.commande_id,
                app_id=service,
                timestamp=self.decided_at,
                content_type=CONTENT_TYPE,
            ),
            headers={TRACEPARENT_HEADER: self.traceparent} if self.traceparent else {},
        )


def decide(connection: Connection, sayings: Sequence[Saying]) -> None:
    """Keep what has been decided, in the order decided."""
    if sayings:
        columns = ("event_id", "type", "commande_id", "body", "traceparent", "decided_at")
        connection.execute(_DECIDE, [{name: getattr(s, name) for name in columns} for s in sayings])


def mark_said(connection: Connection, event_ids: Iterable[str], now: dt.datetime) -> None:
    """These have been confirmed by the broker."""
    said = [{"the_id": event_id, "now": now} for event_id in sorted(event_ids)]
    if said:
        connection.execute(_MARK_SAID, said)


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` events said before that instant; how many. What was not said is kept for ever."""
    old = select(OUTBOX.c.number).where(OUTBOX.c.said_at < before).limit(most)
    return connection.execute(delete(OUTBOX).where(OUTBOX.c.number.in_(old))).rowcount


def last_number(connection: Connection) -> int:
    """The number of the event decided last: who pages up to it comes to an end, whatever is decided meanwhile."""
    return connection.execute(_LAST).scalar_one() or 0


def said_since(
    connection: Connection, since: dt.datetime, most: int, after: int, up_to: int
) -> tuple[list[Saying], int]:
    """Up to `most` events decided since that instant, numbered from `after` (not) to `up_to`; the last number."""
    return _page(connection, OUTBOX.c.decided_at >= since, most, after, up_to)


def unsaid(
    connection: Connection, most: int, after: int = 0, up_to: int | None = None
) -> tuple[list[Saying], int]:
    """Up to `most` events not yet said, oldest first, numbered from `after` (not) to `up_to`; the last number."""
    return _page(connection, OUTBOX.c.said_at.is_(None), most, after, up_to)


def _page(
    connection: Connection, which: ColumnElement[bool], most: int, after: int, up_to: int | None
) -> tuple[list[Saying], int]:
    query = select(OUTBOX).where(which, OUTBOX.c.number > after).order_by(OUTBOX.c.number).limit(most)
    query = query if up_to is None else query.where(OUTBOX.c.number <= up_to)
    rows = connection.execute(query).all()
    sayings = [
        Saying(row.event_id, row.type, row.commande_id, bytes(row.body), row.decided_at, row.traceparent)
        for row in rows
    ]
    return sayings, rows[-1].number if rows else after
