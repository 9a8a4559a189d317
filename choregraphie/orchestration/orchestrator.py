"""The orchestrator of a saga, as a service: it hears answers, advances the instance, says commands.

Its reactions run in the pipeline of every service. So the row of an instance is advanced in the transaction of
inbox and outbox: after a crash, the answer comes again or its commands are in the outbox. Of several orchestrators
on one database, the one that has locked the row advances it.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial, reduce
from operator import or_
from typing import Any, Never

from choregraphie.errors import ChoregraphieError
from choregraphie.orchestration import context
from choregraphie.orchestration.context import NotWritable
from choregraphie.orchestration.declaration import Orchestration, Step
from choregraphie.orchestration.exploration import explore
from choregraphie.orchestration.machine import Clock, Input, Instance, NotAsked, State, advance, awaited
from choregraphie.orchestration.review import review_of
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event
from choregraphie.service.rows import Key
from choregraphie.service.service import Forget, Handler, Schedule, Service, every, on
from choregraphie.service.transaction import ReadView, TimeLimits, Transaction
from choregraphie.service.verdict import RetryOverride
from choregraphie.storage.instances import InstanceRow, counts, due, in_states, instance_row, never_started

# How often instances are looked for whose answer is too late, in seconds.
TICK_SECONDS = 1.0
# What no other try would change.
_NEVER = RetryOverride(never=(NotAsked, NotWritable))


class NewerInstance(ChoregraphieError):
    """An instance was written by a newer version of its declaration, which this worker does not understand."""


@dataclass(frozen=True)
class _Orchestrator:
    saga: Orchestration
    row: type[InstanceRow]

    def reads(self, heard: Event, view: ReadView) -> Iterable[Key]:
        return [self.row.at(heard.key)]

    def hear(self, heard: Event, tx: Transaction) -> Iterator[Event]:
        # An answer comes after the command that it answers, which was said after the row was written. Only a
        # demand to cancel can come before the instance: it is kept, and the instance is cancelled when it begins.
        row = self._row(heard.key, tx)
        row.cause = tx.cause
        known = json.loads(row.context) if row.context else {}
        yield from self._advance(row, type(heard), context.with_event(known, heard), tx, self._reason(heard))
        row.waits = tx.deadline if row.state == State.NEW else None

    def expire(self, row: InstanceRow, tx: Transaction) -> Iterator[Event]:
        # The answer may have come at the instant of the deadline: then nothing is due any more.
        if row.due is None or row.due > tx.now:
            return
        yield from self._advance(row, Clock.TIME_IS_OVER, json.loads(row.context), tx, Event.TOO_LATE)

    def _row(self, key: str, tx: Transaction) -> InstanceRow:
        row = tx.find(self.row, key)
        if row is None:
            row = self.row.new(key, self.saga.version)
            tx.add(row)
        if row.version > self.saga.version:
            raise NewerInstance(
                f"{key} was written by version {row.version} of the saga {self.saga.name}, and this worker has"
                f" {self.saga.version}; start workers of the newer one"
            )
        return row

    def _reason(self, heard: Event) -> str:
        fails = type(heard) is self.saga.cancel_asked or any(
            type(heard) in {step.refusal, step.undone} for step in self.saga.all_steps
        )
        return getattr(heard, heard.REASON, "") if fails else ""

    def _advance(
        self, row: InstanceRow, heard: Input, known: dict[str, Any], tx: Transaction, reason: str
    ) -> Iterator[Event]:
        before = _read(row.progress)
        after, commands = advance(self.saga, before, heard)
        key = tx.instance.key
        # What was only late is no reason: the step may still succeed.
        if after.failing or after.doomed:
            row.reason = row.reason or reason
        waits_for = awaited(self.saga, after)
        if self.saga.review in commands:
            yield review_of(self.saga, after, key, waits_for)
        for cls in (one for one in commands if one is not self.saga.review):
            row.since = tx.now
            said = context.command(self.saga, cls, key, after, known, row.reason)
            known = context.with_event(known, said) if cls in self._own_words else known
            yield said
        row.version, row.state = self.saga.version, after.state.value
        row.progress, row.context = json.dumps(asdict(after)), json.dumps(known, ensure_ascii=False)
        row.review = after.review
        if after.review or not waits_for or row.since is None:
            row.due = None
        else:
            # An undoing has no timeout: nothing can be done instead, and what its service needs may be down.
            row.due = row.since + self._longest(() if after.undoing else waits_for, tx.limits)

    def _longest(self, steps: Sequence[Step], limits: TimeLimits) -> dt.timedelta:
        given = (limits.steps.get(step.name, step.timeout) for step in steps)
        timeouts = (dt.timedelta(seconds=seconds) for seconds in given if seconds is not None)
        return min((limits.deadline, *timeouts))

    @cached_property
    def _own_words(self) -> set[EventClass]:
        return {event for step in self.saga.all_steps if step.own for event in step.answers}


def orchestrator(saga: Orchestration, canvas: str = "") -> Service:
    """The service that carries out `saga`. Its table is named after it."""
    row = instance_row(saga.table, saga.starts.KEY)
    this = _Orchestrator(saga, row)
    return Service(
        saga.service,
        tuple(_handler(this, heard) for heard in saga.heard),
        tables=row.TABLE.metadata,
        inspect=lambda connection: {saga.name: counts(row, connection)},
        timed=(_clock(this),),
        forgets=(Forget(saga.starts, row, never_started(row)),),
        cancelled=lambda connection: in_states(
            row, connection, saga.name, (State.COMPENSATING, State.COMPENSATED)
        ),
        canvas=canvas,
    )


def _handler(this: _Orchestrator, heard: EventClass) -> Handler:
    return on(heard, _named(this.hear, heard.TYPE, explore(this.saga).says(heard)), reads=this.reads, retry=_NEVER)


def _clock(this: _Orchestrator) -> Schedule:
    says = explore(this.saga).says(Clock.TIME_IS_OVER)
    expire = _named(this.expire, "expire", says)
    return every(TICK_SECONDS, expire, of=this.row, due=due(this.row, this.saga.version))


def _named(do: Any, name: str, says: Sequence[EventClass]) -> Any:
    """`do` as a reaction of its own: with a name for the journal, and what it says as its annotation."""
    reaction: Any = partial(do)
    reaction.__name__ = name
    inside: Any = reduce(or_, says) if says else Never
    reaction.__annotations__ = {"return": Iterator[inside]}
    return reaction


def _read(progress: str) -> Instance:
    found: dict[str, Any] = json.loads(progress)
    fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in found.items()}
    return Instance(**fields | ({"state": State(found["state"])} if found else {}))
