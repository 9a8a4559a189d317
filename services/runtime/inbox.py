"""The inbox: events already dealt with, so that a repetition has no second effect."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, Text, bindparam, delete, insert, select

from services.runtime.columns import Instant
from services.runtime.statements import Lookup, Prepared

METADATA = MetaData()

INBOX = Table(
    "inbox",
    METADATA,
    Column("event_id", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("type", Text, nullable=False),
    Column("commande_id", Text, nullable=False, index=True),
    Column("dealt_with_at", Instant, nullable=False, index=True),
)

_KNOWN = Lookup(select(INBOX.c.event_id, INBOX.c.body_hash), INBOX.c.event_id)
_RECORD = Prepared(insert(INBOX), [column.name for column in INBOX.columns])
_OLD = select(INBOX.c.event_id).where(INBOX.c.dealt_with_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(INBOX).where(INBOX.c.event_id.in_(_OLD)), ["before", "most"])


class Receipt(NamedTuple):
    """The trace of an event dealt with."""

    event_id: str
    body_hash: bytes
    type: str
    commande_id: str


def body_hash(body: bytes) -> bytes:
    """What tells a repetition from another message with the same id: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(body, digest_size=16).digest()


def known(connection: Connection, event_ids: Iterable[str]) -> dict[str, bytes]:
    """The body hash of each of `event_ids` that has been dealt with."""
    return {event_id: bytes(digest) for event_id, digest in _KNOWN.rows(connection, sorted(set(event_ids)))}


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` events dealt with before that instant; how many."""
    return _PURGE.run(connection, before, most)


def record(connection: Connection, receipts: Sequence[Receipt], now: dt.datetime) -> None:
    _RECORD.each(connection, [(r.event_id, r.body_hash, r.type, r.commande_id, now) for r in receipts])
