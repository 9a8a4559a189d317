"""Joins: keeps the events of a reaction that waits for several, until the last of them has come.

An event that completes its join is marked when its external call begins: the call is made for that delivery, so
the reaction is carried out with that delivery and no other.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)

from choregraphie.saga.envelope import Event, Instance, keys_by_saga
from choregraphie.service.column_types import Instant
from choregraphie.service.service import Handler
from choregraphie.storage.bulk import bulk_insert
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.statements import Lookup, Prepared

JOINS = Table(
    "joins",
    METADATA,
    Column("saga", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("data", Text, nullable=False),
    Column("completing", Boolean, nullable=False),
    Column("heard_at", Instant, nullable=False, index=True),
)

_COLUMNS = ("saga", "key", "action", "type", "data", "completing")
_NAME = (JOINS.c.saga, JOINS.c.key, JOINS.c.action, JOINS.c.type)
# By the first two columns of the primary key. By key alone, the database would read the whole table.
_OF_SAGA = select(*(JOINS.c[name] for name in _COLUMNS)).where(JOINS.c.saga == bindparam("the_saga"))
_LOAD = Lookup(_OF_SAGA.order_by(*_NAME).with_for_update(), JOINS.c.key, ["the_saga"])
_INSERT = bulk_insert(JOINS, (*_COLUMNS, "heard_at"))
_DELETE = Prepared(
    delete(JOINS).where(*(JOINS.c[name] == bindparam(f"the_{name}") for name in ("saga", "key", "action"))),
    ["the_saga", "the_key", "the_action"],
)
_NUMBER = func.unnest(bindparam("locks", type_=ARRAY(BigInteger))).column_valued("number")
_LOCK = Prepared(select(func.pg_advisory_xact_lock(_NUMBER)), ["locks"])
_OLD = select(*_NAME).where(JOINS.c.heard_at < bindparam("before")).limit(bindparam("most"))
_PURGE = Prepared(delete(JOINS).where(tuple_(*_NAME).in_(_OLD)), ["before", "most"])

# An instance, and the action that waits for several events about it.
_Waiting = tuple[Instance, str]


@dataclass
class _Part:
    event: Event
    completing: bool
    new: bool


class Joins:
    """The events heard so far for the joins of one group."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parts: dict[_Waiting, dict[str, _Part]] = {}
        self._complete: set[_Waiting] = set()

    def load(self, invocations: Iterable[Invocation]) -> None:
        """Read what was heard before for the joins of `invocations`."""
        handlers = {_waiting(invocation): invocation.handler for invocation in invocations}
        self._lock(handlers)
        rows = [
            row
            for saga, keys in keys_by_saga(instance for instance, _ in handlers)
            for row in _LOAD.rows(self._connection, keys, saga)
        ]
        for saga, key, action, type_, data, completing in rows:
            waiting = (Instance(saga, key), action)
            cls = handlers[waiting].heard_class(type_) if waiting in handlers else None
            # None as well for an event that another version of the service awaited.
            if cls is not None:
                part = _Part(cls.model_validate_json(data), bool(completing), new=False)
                self._parts.setdefault(waiting, {})[type_] = part

    def _lock(self, waiting: Iterable[_Waiting]) -> None:
        """Wait for other workers that hear another event of the same join: neither would see the other's."""
        if self._connection.dialect.name == "postgresql":
            # Sorted, so that two workers take the same locks in the same order.
            _LOCK.rows(self._connection, sorted(map(_lock_number, waiting)))

    def expected(self, group: Sequence[Invocation]) -> list[tuple[Invocation, tuple[Event, ...]]]:
        """The invocations whose joins are complete once all of `group` are heard, with what they will hear."""
        events: dict[_Waiting, dict[str, Event]] = {}
        for invocation in group:
            before = {type_: part.event for type_, part in self._parts.get(_waiting(invocation), {}).items()}
            events.setdefault(_waiting(invocation), before).setdefault(invocation.event.TYPE, invocation.event)
        pairs = ((invocation, _in_order(invocation.handler, events[_waiting(invocation)])) for invocation in group)
        return [(invocation, heard) for invocation, heard in pairs if heard]

    def hear(self, invocation: Invocation) -> tuple[Event, ...] | None:
        """All the events of its join when this one completes it; None when others are awaited, or complete it."""
        parts = self._parts.setdefault(_waiting(invocation), {})
        own = parts.setdefault(invocation.event.TYPE, _Part(invocation.event, completing=False, new=True))
        heard = _in_order(invocation.handler, {type_: part.event for type_, part in parts.items()})
        if heard is None or any(part.completing for part in parts.values() if part is not own):
            return None
        own.completing = True
        return heard

    def end(self, invocation: Invocation) -> None:
        """Its join was carried out or given up: nothing of it is kept."""
        if invocation.handler.joins:
            self._complete.add(_waiting(invocation))

    def write(self, now: dt.datetime) -> None:
        """Write what was heard, and delete what is complete."""
        new = [
            (*instance, action, type_, part.event.model_dump_json(), part.completing, now)
            for (instance, action), parts in sorted(self._parts.items(), key=lambda pair: pair[0])
            for type_, part in sorted(parts.items())
            if part.new and (instance, action) not in self._complete
        ]
        _INSERT.run(self._connection, new)
        _DELETE.run_many(self._connection, [(*instance, action) for instance, action in sorted(self._complete)])


def _lock_number(waiting: _Waiting) -> int:
    (saga, key), action = waiting
    digest = hashlib.blake2b("\x1f".join((saga, key, action)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _waiting(invocation: Invocation) -> _Waiting:
    return invocation.instance, invocation.handler.action


def _in_order(handler: Handler, events: dict[str, Event]) -> tuple[Event, ...] | None:
    """The events that `handler` hears, in their declared order; None when one is missing."""
    heard = tuple(events[cls.TYPE] for cls in handler.hears if cls.TYPE in events)
    return heard if len(heard) == len(handler.hears) else None


def purge(connection: Connection, before: dt.datetime, most: int) -> int:
    """Delete up to `most` events heard before that instant; returns how many."""
    return _PURGE.run(connection, before, most)
