"""The inbox: events already handled, so that a duplicate has no effect.

An event is named by its source and its id together: an id is unique only with its source (CloudEvents 1.0, `id`).
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
    insert,
    select,
    tuple_,
)

from choregraphie.service.column_types import Instant
from choregraphie.storage.statements import Lookup, Prepared

METADATA = MetaData()

INBOX = Table(
    "inbox",
    METADATA,
    Column("event_id", Text, primary_key=True),
    # Empty in the rows of a version that did not keep it, and in those that such a version still adds.
    Column("source", Text, primary_key=True, server_default=""),
    Column("body_hash", LargeBinary, nullable=False),
    Column("type", Text, nullable=False),
    Column("commande_id", Text, nullable=False, index=True),
    Column("dealt_with_at", Instant, nullable=False, index=True),
)

_KNOWN = Lookup(select(INBOX.c.source, INBOX.c.event_id, INBOX.c.body_hash), INBOX.c.event_id)
_RECORD = Prepared(insert(INBOX), [column.name for column in INBOX.columns])
_NAME = (INBOX.c.event_id, INBOX.c.source)
_OLD = select(*_NAME).where(INBOX.c.dealt_with_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(INBOX).where(tuple_(*_NAME).in_(_OLD)), ["before", "most"])
_SOURCE_UNKNOWN = ""


class EventIdentity(NamedTuple):
    """What names one event among all events. Sources are compared as they are written, character by character."""

    source: str
    id: str


class Receipt(NamedTuple):
    """The trace of an event dealt with."""

    identity: EventIdentity
    body_hash: bytes
    type: str
    commande_id: str


def body_hash(body: bytes) -> bytes:
    """What tells a repetition from another message with the same id: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(body, digest_size=16).digest()


def known(connection: Connection, events: Iterable[EventIdentity]) -> dict[EventIdentity, bytes]:
    """The body hash of each of `events` that has been dealt with, and of others with the same ids."""
    ids = sorted({event.id for event in events})
    return {EventIdentity(source, id_): bytes(digest) for source, id_, digest in _KNOWN.rows(connection, ids)}


def seen(known: Mapping[EventIdentity, bytes], event: EventIdentity, body_hash: bytes) -> bytes | None:
    """The body hash with which `event` was dealt with, or None when it was not.

    A row whose source is not known stands for whatever has the same bytes: the source is among them.
    """
    if event not in known and known.get(event._replace(source=_SOURCE_UNKNOWN)) == body_hash:
        return body_hash
    return known.get(event)


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` events dealt with before that instant; how many."""
    return _PURGE.run(connection, before, most)


def record(connection: Connection, receipts: Sequence[Receipt], now: dt.datetime) -> None:
    _RECORD.run_many(
        connection, [(r.identity.id, r.identity.source, r.body_hash, r.type, r.commande_id, now) for r in receipts]
    )
