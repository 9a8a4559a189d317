"""The state of one group while its transaction is open: what was loaded, what was decided, what is written."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection

from choregraphie.errors import Reason
from choregraphie.saga.envelope import Event, wrap
from choregraphie.service.action import Entry, State
from choregraphie.service.rows import Key
from choregraphie.service.service import Handler, Reads, Schedule, Service
from choregraphie.service.transaction import ReadView, Transaction, refusal
from choregraphie.service.verdict import DeadLetter, Done, Verdict
from choregraphie.storage import inbox, outbox
from choregraphie.storage.inbox import EventIdentity, Receipt
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.journal import Journal
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.storage.unit_of_work import UnitOfWork

log = structlog.get_logger()


@dataclass
class Batch:
    """Opened on a connection, worked through delivery by delivery, written once."""

    service: Service
    connection: Connection
    now: dt.datetime
    deadline: dt.timedelta
    known: dict[EventIdentity, bytes] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    sayings: list[OutboxEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unit = UnitOfWork(self.connection)
        self.journal = Journal(self.connection)
        self._log = log.bind()  # found once for the group, not for each line

    def open(self, group: Sequence[Invocation]) -> None:
        """Load what the group will look at: a statement per table, and one more round for each later read."""
        if not group:
            return
        self.known = inbox.known(self.connection, (work.identity for work in group))
        self.journal.load(work.order for work in group)
        # What is only given up looks at no rows: to read them may be what fails.
        reading = [work for work in group if work.failure is None and work.line.reads]
        self._load([(work.line.reads, work.event, self._look(work)) for work in reading])

    def _load(self, wanted: list[tuple[tuple[Reads, ...], Any, ReadView]]) -> None:
        for stage in range(max((len(reads) for reads, _, _ in wanted), default=0)):
            keys: list[Key] = []
            for reads, about, look in wanted:
                if stage < len(reads):
                    keys += reads[stage](about, look)
            self.unit.load(keys)

    def _look(self, work: Invocation) -> ReadView:
        return ReadView(
            self.unit,
            self.journal,
            service=self.service.name,
            action=work.line.action,
            order=work.order,
            now=self.now,
        )

    def begin(self, work: Invocation) -> ReadView | None:
        order, action = work.order, work.line.action
        entry = self.journal.entry(order, action)
        if self._seen(work) is not None or (entry is not None and entry.state is not State.BEGUN):
            return None
        if entry is None:
            self.journal.settle(self._entry(work, State.BEGUN, {}))
        for undone in work.line.undoes:
            # From now on none of it may begin: its call would race with the one that takes it back.
            if self.journal.entry(order, undone.__name__) is None:
                self.journal.undo(order, undone.__name__, work.identity.id, self.now)
        return self._look(work)

    def carry_out(self, work: Invocation) -> Result:
        # Bound once, for whatever the reaction or a library may log meanwhile.
        bound = structlog.contextvars.bind_contextvars(**work.bound())
        try:
            return self._once(work)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    def _once(self, work: Invocation) -> Result:
        seen = self._seen(work)
        if seen is not None and seen != work.body_hash:
            detail = "this id came before from the same source with another body"
            verdict = DeadLetter(Reason.ID_COLLISION, detail, work.attempt)
            return Result(work.delivery, verdict, work=work)
        if seen is not None:
            self._log.info("delivery.repeated")
            return Result(work.delivery, self._repeated(work), work=work)
        sayings = self._decide(work)
        self.known[work.identity] = work.body_hash
        self.receipts.append(Receipt(work.identity, work.body_hash, work.event.TYPE, work.order))
        return Result(work.delivery, Done(), sayings, work)

    def _repeated(self, work: Invocation) -> Verdict:
        """Done, unless it was given up and may never have reached the dead letters: then it is set aside again.

        Sent back by an operator it is neither redelivered nor unsure: given up, it stays without effect.
        """
        entry = self.journal.entry(work.order, work.line.action)
        gave_up = entry is not None and _gave_up(entry, work.identity)
        if gave_up and (work.delivery.redelivered or work.unsure):
            return DeadLetter(Reason.EXHAUSTED, "given up before; it is set aside once more", work.attempt)
        return Done()

    def _decide(self, work: Invocation) -> tuple[OutboxEvent, ...]:
        line, order = work.line, work.order
        entry = self.journal.entry(order, line.action)
        if entry is not None and entry.state is not State.BEGUN:
            # Carried out before (a second event for it), or cancelled before it came: nothing, and silence.
            self._log.warning("reaction.skipped", action=line.action, journal=entry.state.value)
            return ()
        tx = self._transaction(line.action, order, work.identity.id, work.identity)
        if work.failure is not None:
            assert line.gives_up is not None  # noqa: S101 - delivery.py gives up only what can be
            said: list[Event] = [refusal(line.gives_up, order, f"abandon après {work.attempt} essais")]
            state = State.TOMBSTONE
        else:
            heard = (work.event, tx) if line.call is None else (work.event, tx, work.answer)
            said = list(line.do(*heard))
            state = State.REFUSED if any(type(event) is line.gives_up for event in said) else State.DONE
            _check_undoing(line, tx, said)
        self.journal.settle(self._entry(work, state, tx.noted))
        self._log.info("reaction.done", action=line.action, says=[event.TYPE for event in said])
        return self._say(said, tx, work.identity.id, work.traceparent)

    def on_time(self, line: Schedule, keys: list[str]) -> list[Result]:
        self.unit.load(line.of.at(key) for key in keys)
        rows: list[Any] = [row for key in keys if (row := self.unit.find(line.of, key)) is not None]
        self.journal.load(row.commande_id for row in rows)
        pairs = [(row, self._timed_transaction(line.action, row)) for row in rows]
        self._load([(line.reads, row, tx) for row, tx in pairs])
        results = []
        for row, tx in pairs:
            said = list(line.do(row, tx))
            if said:
                types = [event.TYPE for event in said]
                self._log.info("clock.reacted", action=line.action, commande_id=row.commande_id, says=types)
                self.journal.settle(Entry(row.commande_id, line.action, State.DONE, self.now, tx.noted, tx.cause))
            sayings = self._say(said, tx, row.cause, None)
            results.append(Result(None, Done(), sayings))
        return results

    def _timed_transaction(self, action: str, row: Any) -> Transaction:
        # Two rows may have begun with the same id from two sources: what is said of them has ids of its own.
        cause = row.cause or row.key()
        return self._transaction(action, row.commande_id, cause, (row.key(), cause))

    def _transaction(self, action: str, order: str, cause: str, origin: tuple[str, ...]) -> Transaction:
        return Transaction(
            self.unit,
            self.journal,
            service=self.service.name,
            action=action,
            order=order,
            now=self.now,
            cause=cause,
            origin=origin,
            deadline=self.now + self.deadline,
        )

    def _say(
        self, events: list[Event], tx: Transaction, cause: str | None, traceparent: str | None
    ) -> tuple[OutboxEvent, ...]:
        """Ids, causes and times are given here and nowhere else."""
        said = []
        for number, event in enumerate(events):
            event_id = tx.derive(event.TYPE, str(number))
            source = f"/services/{self.service.name}"
            envelope = wrap(event, id=event_id, source=source, time=self.now, causationid=cause)
            said.append(
                OutboxEvent(event_id, event.TYPE, event.commande_id, envelope.to_bytes(), self.now, traceparent)
            )
        self.sayings += said
        return tuple(said)

    def _seen(self, work: Invocation) -> bytes | None:
        return inbox.seen(self.known, work.identity, work.body_hash)

    def _entry(self, work: Invocation, state: State, noted: dict[str, Any]) -> Entry:
        source, event_id = work.identity
        return Entry(work.order, work.line.action, state, self.now, noted, event_id, cause_source=source)

    def write(self) -> None:
        self.unit.write()
        self.journal.write()
        inbox.record(self.connection, self.receipts, self.now)
        outbox.decide(self.connection, self.sayings)


def _gave_up(entry: Entry, event: EventIdentity) -> bool:
    """Whether `entry` says that `event` was given up. A tombstone that an undoing left says who undid it."""
    given_up = entry.state is State.TOMBSTONE and entry.undone_by is None
    return given_up and entry.cause == event.id and entry.cause_source in {None, event.source}


def _check_undoing(line: Handler, tx: Transaction, said: list[Event]) -> None:
    """Whoever undoes something undoes all that it is declared to, and always answers: others wait for it."""
    if line.undoes and not said and line.says():
        raise AssertionError(f"{line.action} is declared to undo, and did not answer")
    forgotten = {action.__name__ for action in line.undoes} - tx.undone
    if forgotten:
        raise AssertionError(f"{line.action} is declared to undo {', '.join(sorted(forgotten))} and did not")
