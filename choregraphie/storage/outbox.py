"""The outbox: events from their decision until they are confirmed, and some days longer to refill a broker."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

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
    select,
)

from choregraphie.messaging import Outgoing, Properties
from choregraphie.saga.envelope import CONTENT_TYPE
from choregraphie.saga.trace_context import trace_headers
from choregraphie.service.column_types import Instant
from choregraphie.service.service import Service
from choregraphie.storage.bulk import bulk_insert, bulk_update
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.statements import Prepared

OUTBOX = Table(
    "outbox",
    METADATA,
    # At start, pending rows are published in this order. SQLite numbers only a plain INTEGER by itself.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("saga", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("traceparent", Text),
    Column("decided_at", Instant, nullable=False),
    Column("said_at", Instant, index=True),
    Column("tracestate", Text),
)

# The fields of an outbox event, in their order, but for its span.
_EVENT_COLUMNS = ("event_id", "type", "saga", "key", "body", "decided_at", "traceparent", "tracestate")
_DECIDE = bulk_insert(OUTBOX, _EVENT_COLUMNS)
_LAST = Prepared(select(func.max(OUTBOX.c.number)), [])
_MARK_PUBLISHED = bulk_update(OUTBOX, ["event_id"], ["event_id", "said_at"])
_OLD = select(OUTBOX.c.number).where(OUTBOX.c.said_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(OUTBOX).where(OUTBOX.c.number.in_(_OLD)), ["before", "most"])


def _page_query(which: ColumnElement[bool], *parameters: str) -> Prepared:
    """The events for which `which` is true, a page at a time, in the order of their decision."""
    query = (
        select(OUTBOX.c.number, *(OUTBOX.c[name] for name in _EVENT_COLUMNS))
        .where(which, OUTBOX.c.number > bindparam("after"), OUTBOX.c.number <= bindparam("up_to"))
        .order_by(OUTBOX.c.number)
        .limit(bindparam("most"))
    )
    return Prepared(query, [*parameters, "after", "up_to", "most"])


_PENDING = _page_query(OUTBOX.c.said_at.is_(None))
_DECIDED_SINCE = _page_query(OUTBOX.c.decided_at >= bindparam("since"), "since")
# Larger than the number of any row.
_NO_END = 2**62


_OF_INSTANCE = Prepared(
    select(OUTBOX.c.event_id)
    .where(
        OUTBOX.c.saga == bindparam("the_saga"),
        OUTBOX.c.key == bindparam("the_key"),
        OUTBOX.c.type == bindparam("the_type"),
    )
    .order_by(OUTBOX.c.number),
    ["the_saga", "the_key", "the_type"],
)


class OutboxEvent(NamedTuple):
    """A decided event as it is published. Each publication sends the same bytes.

    `span` is that of its decision, until it is known that the decision is committed.
    """

    event_id: str
    type: str
    saga: str
    key: str
    body: bytes
    decided_at: dt.datetime
    traceparent: str | None = None
    tracestate: str | None = None
    span: Any = None

    def outgoing(self, service: Service) -> Outgoing:
        """The message that `service` publishes for this event."""
        return Outgoing(
            exchange=service.exchange_for(self.type),
            routing_key=self.type,
            body=self.body,
            properties=Properties(
                message_id=self.event_id,
                type=self.type,
                correlation_id=self.key,
                app_id=service.name,
                timestamp=self.decided_at,
                content_type=CONTENT_TYPE,
            ),
            headers=trace_headers(self.traceparent, self.tracestate),
        )


def decide(connection: Connection, outbox_events: Sequence[OutboxEvent]) -> None:
    """Insert decided events, in the order of their decision."""
    _DECIDE.run(connection, [outbox_event[: len(_EVENT_COLUMNS)] for outbox_event in outbox_events])


def mark_published(connection: Connection, event_ids: Iterable[str], now: dt.datetime) -> None:
    """Mark events that the broker has confirmed."""
    _MARK_PUBLISHED.run(connection, [(event_id, now) for event_id in sorted(event_ids)])


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Delete up to `most` events published before that instant; returns how many. Pending events are kept."""
    return _PURGE.run(connection, before, most)


def ids_of(connection: Connection, saga: str, key: str, type_: str) -> list[str]:
    """The ids of the events of that type that were decided for an instance and are still kept, oldest first."""
    return [event_id for (event_id,) in _OF_INSTANCE.rows(connection, saga, key, type_)]


def last_number(connection: Connection) -> int:
    """The number of the newest event. Reading pages up to it ends, even if more is decided meanwhile."""
    ((number,),) = _LAST.rows(connection)
    return number or 0


def decided_since(
    connection: Connection, since: dt.datetime, most: int, after: int, up_to: int
) -> tuple[list[OutboxEvent], int]:
    """Up to `most` events decided since then, numbered above `after` and up to `up_to`; and the last number."""
    return _outbox_events(_DECIDED_SINCE.rows(connection, since, after, up_to, most), after)


def pending_events(
    connection: Connection, most: int, after: int = 0, up_to: int | None = None
) -> tuple[list[OutboxEvent], int]:
    """Up to `most` pending events, oldest first, numbered above `after` and up to `up_to`; and the last number."""
    return _outbox_events(_PENDING.rows(connection, after, _NO_END if up_to is None else up_to, most), after)


def _outbox_events(rows: Sequence[Sequence[Any]], after: int) -> tuple[list[OutboxEvent], int]:
    outbox_events = [
        OutboxEvent(event_id, type_, saga, key, bytes(body), *rest)
        for _, event_id, type_, saga, key, body, *rest in rows
    ]
    return outbox_events, rows[-1][0] if rows else after
