"""The inbox: events already dealt with, so that a repetition has no second effect."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
)

from services.runtime.columns import Instant

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

# Built once: to build a statement costs as much as to send it.
_KNOWN = select(INBOX.c.event_id, INBOX.c.body_hash).where(
    INBOX.c.event_id.in_(bindparam("event_ids", expanding=True))
)
_RECORD = insert(INBOX)


@dataclass(frozen=True, slots=True)
class Receipt:
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
    rows = connection.execute(_KNOWN, {"event_ids": sorted(set(event_ids))})
    return {event_id: bytes(digest) for event_id, digest in rows}


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Forget up to `most` events dealt with before that instant; how many."""
    old = select(INBOX.c.event_id).where(INBOX.c.dealt_with_at < before).limit(most)
    return connection.execute(delete(INBOX).where(INBOX.c.event_id.in_(old))).rowcount


def record(connection: Connection, receipts: Sequence[Receipt], now: dt.datetime) -> None:
    if receipts:
        rows = [
            {
                "event_id": receipt.event_id,
                "body_hash": receipt.body_hash,
                "type": receipt.type,
                "commande_id": receipt.commande_id,
                "dealt_with_at": now,
            }
            for receipt in receipts
        ]
        connection.execute(_RECORD, rows)
