"""A group of deliveries in its open transaction: rows loaded, results decided, rows to write."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection

from choregraphie.errors import Reason
from choregraphie.logs import delivery_fields
from choregraphie.saga.envelope import Event, Instance, written
from choregraphie.service.action import Entry, State
from choregraphie.service.rows import Key
from choregraphie.service.service import Handler, Reads, Schedule, Service
from choregraphie.service.transaction import ReadView, TimeLimits, Transaction, refusal_after
from choregraphie.service.verdict import DeadLetter, Done, Verdict
from choregraphie.storage import inbox, outbox
from choregraphie.storage.inbox import EventIdentity, Known, Receipt
from choregraphie.storage.invocation import Invocation, Result, Traced, traced_as_heard
from choregraphie.storage.joins import Joins
from choregraphie.storage.journal import Journal
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.storage.unit_of_work import UnitOfWork, unlocked_rows

log = structlog.get_logger()


@dataclass
class Batch:
    """Loads what the group needs, carries out its deliveries one by one, and writes everything once."""

    service: Service
    connection: Connection
    now: dt.datetime
    limits: TimeLimits
    traced: Traced = traced_as_heard
    known: Known = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    outbox_events: list[OutboxEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unit = UnitOfWork(self.connection)
        self.journal = Journal(self.connection)
        self.joins = Joins(self.connection)
        self._source = f"/services/{self.service.name}"
        self._log = log.bind()  # once for the group, not for each line

    def open(self, group: Sequence[Invocation]) -> None:
        """Load what the group reads: one statement per table, and a further round for each later `reads`."""
        if not group:
            return
        self.known = inbox.known(self.connection, (invocation.identity for invocation in group))
        self.journal.load(invocation.instance for invocation in group)
        # A delivery that is given up reads no rows: reading them may be what fails.
        reading = [invocation for invocation in group if invocation.failure is None]
        joining = [invocation for invocation in reading if invocation.handler.joins]
        alone: list[tuple[Invocation, Any]] = [(one, one.event) for one in reading if not one.handler.joins]
        if joining:
            self.joins.load(joining)
        wanted = alone + self.joins.expected(joining)
        self._load([(invocation.handler.reads, heard, self._view(invocation)) for invocation, heard in wanted])

    def _load(self, wanted: list[tuple[tuple[Reads, ...], Any, ReadView]]) -> None:
        for stage in range(max((len(reads) for reads, _, _ in wanted), default=0)):
            keys: list[Key] = []
            for reads, about, view in wanted:
                if stage < len(reads):
                    keys += reads[stage](about, view)
            self.unit.load(keys)

    def _view(self, invocation: Invocation) -> ReadView:
        return ReadView(
            self.unit,
            self.journal,
            service=self.service.name,
            action=invocation.handler.action,
            instance=invocation.instance,
            now=self.now,
        )

    def begin(self, invocation: Invocation) -> ReadView | None:
        """Record that an external call begins; returns what it may read, or None when it must not be made."""
        instance, action = invocation.instance, invocation.handler.action
        entry = self.journal.entry(instance, action)
        if self._handled_hash(invocation) is not None or (entry is not None and entry.state is not State.BEGUN):
            return None
        view = self._view(invocation)
        view.heard = self._heard(invocation)
        if view.heard is None:
            return None
        if entry is None:
            self.journal.record(self._entry(invocation, State.BEGUN, {}))
        for undone in invocation.handler.undoes:
            # From now on the action must not begin: its call would race with the one that undoes it.
            if self.journal.entry(instance, undone.__name__) is None:
                self.journal.undo(instance, undone.__name__, invocation.identity.id, self.now)
        return view

    def _heard(self, invocation: Invocation) -> Any:
        """What its reaction hears: the event, or all those of its join; None while some of them are awaited."""
        return self.joins.hear(invocation) if invocation.handler.joins else invocation.event

    def carry_out(self, invocation: Invocation) -> Result:
        """Run the reaction of a delivery, unless it was handled before. What the reaction raises is raised."""
        # For all that the reaction or a library logs meanwhile.
        outer = delivery_fields.set(invocation.bound)
        try:
            return self._handle(invocation)
        finally:
            delivery_fields.reset(outer)

    def _handle(self, invocation: Invocation) -> Result:
        handled_hash = self._handled_hash(invocation)
        if handled_hash is not None and handled_hash != invocation.body_hash:
            detail = "this id came before from the same source with another body"
            verdict = DeadLetter(Reason.ID_COLLISION, detail, invocation.attempt)
            return Result(invocation.delivery, verdict, invocation=invocation)
        if handled_hash is not None:
            self._log.debug("delivery.repeated")
            return Result(invocation.delivery, self._repeated(invocation), invocation=invocation)
        outbox_events = self._decide(invocation)
        self.known[invocation.identity] = invocation.body_hash
        self.receipts.append(invocation.receipt())
        return Result(invocation.delivery, Done(), outbox_events, invocation)

    def _repeated(self, invocation: Invocation) -> Verdict:
        """Done; but a delivery that was given up and may not have reached the dead letters is dead-lettered again.

        One that an operator redrives is neither redelivered nor of unknown commit, so it has no effect.
        """
        entry = self.journal.entry(invocation.instance, invocation.handler.action)
        gave_up = entry is not None and _gave_up(entry, invocation.identity)
        if gave_up and (invocation.delivery.redelivered or invocation.commit_unknown):
            return DeadLetter(Reason.EXHAUSTED, "given up before; it is set aside once more", invocation.attempt)
        return Done()

    def _decide(self, invocation: Invocation) -> tuple[OutboxEvent, ...]:
        handler, instance, identity = invocation.handler, invocation.instance, invocation.identity
        entry = self.journal.entry(instance, handler.action)
        if entry is not None and entry.state is not State.BEGUN:
            # The action was carried out for another event, or was cancelled before: do nothing, say nothing.
            self._log.warning("reaction.skipped", action=handler.action, journal=entry.state.value)
            return ()
        tx = self._transaction(handler.action, instance, identity.id, identity, invocation.time)
        tx.heard = invocation.event if invocation.failure else self._heard(invocation)
        if tx.heard is None:
            self._log.debug("join.event_stored", action=handler.action)
            return ()
        self.joins.end(invocation)
        if invocation.failure is not None:
            assert handler.gives_up is not None  # noqa: S101 - executor.py gives up only what can be
            events: list[Event] = [refusal_after(handler.gives_up, instance.key, invocation.attempt)]
            state = State.TOMBSTONE
        else:
            heard = (tx.heard, tx) if handler.call is None else (tx.heard, tx, invocation.answer)
            events = list(handler.do(*heard))
            state = State.REFUSED if handler.gives_up in [type(event) for event in events] else State.DONE
            if handler.undoes:
                _check_undoing(handler, tx, events)
        self.journal.record(self._entry(invocation, state, tx.noted))
        self._log.debug("reaction.done", action=handler.action, says=[event.TYPE for event in events])
        return self._add_to_outbox(events, tx, identity.id, invocation)

    def on_time(self, schedule: Schedule, keys: list[str]) -> list[Result]:
        """Run a scheduled reaction for the rows of `keys`."""
        # The journal is locked before the rows, as in `open`: in the other order, two workers wait for each other.
        self.journal.load(map(schedule.instance_of, unlocked_rows(self.connection, schedule.of, keys)))
        self.unit.load(schedule.of.at(key) for key in keys)
        rows: list[Any] = [row for key in keys if (row := self.unit.find(schedule.of, key)) is not None]
        pairs = [(row, self._timed_transaction(schedule, row)) for row in rows]
        self._load([(schedule.reads, row, tx) for row, tx in pairs])
        results = []
        for row, tx in pairs:
            events = list(schedule.do(row, tx))
            if events:
                types = [event.TYPE for event in events]
                self._log.debug("schedule.fired", action=schedule.action, **tx.instance._asdict(), says=types)
                self.journal.record(Entry(*tx.instance, schedule.action, State.DONE, self.now, tx.noted, tx.cause))
            results.append(Result(None, Done(), self._add_to_outbox(events, tx, row.cause, None)))
        return results

    def _timed_transaction(self, schedule: Schedule, row: Any) -> Transaction:
        # Two rows may have causes with the same id from two sources; the events about them need different ids.
        cause = row.cause or row.primary_key()
        origin = (row.primary_key(), cause)
        return self._transaction(schedule.action, schedule.instance_of(row), cause, origin, None)

    def _transaction(
        self, action: str, instance: Instance, cause: str, origin: tuple[str, ...], time: dt.datetime | None
    ) -> Transaction:
        return Transaction(
            self.unit,
            self.journal,
            service=self.service.name,
            action=action,
            instance=instance,
            now=self.now,
            cause=cause,
            origin=origin,
            heard_time=time,
            limits=self.limits,
        )

    def _add_to_outbox(
        self, events: list[Event], tx: Transaction, cause: str | None, heard: Invocation | None
    ) -> tuple[OutboxEvent, ...]:
        """Give the events their ids, causes and times (this is the only place), and add them to the outbox."""
        outbox_events = []
        for number, event in enumerate(events):
            event_id = tx.derive(event.TYPE, str(number))
            body = written(event, id=event_id, source=self._source, time=self.now, causationid=cause)
            decided = OutboxEvent(event_id, event.TYPE, event.SAGA, event.key, body, self.now)
            outbox_events.append(self.traced(decided, heard))
        self.outbox_events += outbox_events
        return tuple(outbox_events)

    def _handled_hash(self, invocation: Invocation) -> bytes | None:
        return inbox.handled_hash(self.known, invocation.identity, invocation.body_hash)

    def _entry(self, invocation: Invocation, state: State, noted: dict[str, Any]) -> Entry:
        source, event_id = invocation.identity
        action = invocation.handler.action
        return Entry(*invocation.instance, action, state, self.now, noted, event_id, cause_source=source)

    def write(self) -> None:
        """Write the rows, the journal, the inbox and the outbox."""
        self.unit.write()
        self.journal.write()
        self.joins.write(self.now)
        inbox.record(self.connection, self.receipts, self.now)
        outbox.decide(self.connection, self.outbox_events)


def _gave_up(entry: Entry, event: EventIdentity) -> bool:
    """Whether `entry` says that `event` was given up. A tombstone of an undoing has `undone_by`."""
    given_up = entry.state is State.TOMBSTONE and entry.undone_by is None
    return given_up and entry.cause == event.id and entry.cause_source in {None, event.source}


def _check_undoing(handler: Handler, tx: Transaction, events: list[Event]) -> None:
    """Raises AssertionError unless an undoing answered, as others wait for it, and undid all that it declares."""
    if not events and handler.says():
        raise AssertionError(f"{handler.action} is declared to undo, and did not answer")
    forgotten = {action.__name__ for action in handler.undoes} - tx.undone
    if forgotten:
        raise AssertionError(f"{handler.action} is declared to undo {', '.join(sorted(forgotten))} and did not")
