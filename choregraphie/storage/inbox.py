"""The inbox: events that were handled, so that a duplicate has no effect.

An event is identified by its source and id together: an id is unique only within its source (CloudEvents 1.0,
`id`).
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    select,
    tuple_,
)

from choregraphie.service.column_types import Instant
from choregraphie.storage.bulk import bulk_insert
from choregraphie.storage.statements import Lookup, Prepared

METADATA = MetaData()

INBOX = Table(
    "inbox",
    METADATA,
    Column("event_id", Text, primary_key=True),
    # Empty in rows written by engine versions before 3, which may still run beside this one.
    Column("source", Text, primary_key=True, server_default=""),
    Column("body_hash", LargeBinary, nullable=False),
    Column("type", Text, nullable=False),
    Column("saga", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("dealt_with_at", Instant, nullable=False, index=True),
)

_KNOWN = Lookup(select(INBOX.c.source, INBOX.c.event_id, INBOX.c.body_hash), INBOX.c.event_id)
# The columns of the table, which are the fields of a receipt and then the time.
_RECORD = bulk_insert(INBOX, [column.name for column in INBOX.columns])
_NAME = (INBOX.c.event_id, INBOX.c.source)
_OLD = select(*_NAME).where(INBOX.c.dealt_with_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(INBOX).where(tuple_(*_NAME).in_(_OLD)), ["before", "most"])
_SOURCE_UNKNOWN = ""


class EventIdentity(NamedTuple):
    """Identifies one event among all events. Sources are compared as strings, without normalization."""

    source: str
    id: str


class Receipt(NamedTuple):
    """The inbox row of a handled event, without its time."""

    event_id: str
    source: str
    body_hash: bytes
    type: str
    saga: str
    key: str


def body_hash(body: bytes) -> bytes:
    """Tells a duplicate from another message with the same id: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(body, digest_size=16).digest()


# Body hashes by source and id.
Known = dict[tuple[str, str], bytes]


def known(connection: Connection, events: Iterable[EventIdentity]) -> Known:
    """The body hash of each of `events` that was handled, and of other handled events with the same ids."""
    ids = sorted({event.id for event in events})
    return {(source, id_): bytes(digest) for source, id_, digest in _KNOWN.rows(connection, ids)}


def handled_hash(known: Known, event: EventIdentity, body_hash: bytes) -> bytes | None:
    """The body hash with which `event` was handled, or None when it was not.

    A row without a source counts for an event with the same body hash: the body includes the source.
    """
    found = known.get(event)
    if found is None and known.get((_SOURCE_UNKNOWN, event.id)) == body_hash:
        return body_hash
    return found


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Delete up to `most` events handled before that instant; returns how many."""
    return _PURGE.run(connection, before, most)


def record(connection: Connection, receipts: Sequence[Receipt], now: dt.datetime) -> None:
    """Insert the rows of events that were handled at `now`."""
    _RECORD.run(connection, [(*receipt, now) for receipt in receipts])
