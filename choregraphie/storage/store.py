"""The transactions of a service: inbox, reactions, rows, journal and outbox are committed together or not at all.

Each method but `purge` is one transaction. What the transactions do is in modules of its own: `batch` carries
out deliveries, `schedules` runs scheduled reactions, `poison_log` chooses suspects, `retention` deletes old rows.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable, ReactionFailed, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.process.attribution import shortage
from choregraphie.service.service import Schedule, Service
from choregraphie.service.transaction import ReadView, TimeLimits
from choregraphie.settings import Settings
from choregraphie.storage import outbox, poison_log
from choregraphie.storage.batch import Batch
from choregraphie.storage.database import Conflict, Database
from choregraphie.storage.invocation import Invocation, Result, Traced, traced_as_heard
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.storage.retention import Retention
from choregraphie.storage.schedules import Schedules
from choregraphie.storage.statements import answered_together
from choregraphie.storage.writability import check_writable

# A transaction that lost against another worker's is tried this often; then its deliveries are retried, and the
# rows of its schedule put off. A value that breaks a constraint of a table counts as such a loss.
MOST_CONFLICTS = 5

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class StoreLimits:
    """How long instances and steps may take; how long inbox rows and published outbox rows are kept."""

    times: TimeLimits
    inbox: dt.timedelta
    outbox: dt.timedelta

    @classmethod
    def of(cls, settings: Settings) -> "StoreLimits":
        """The limits that the settings give."""
        return cls(
            TimeLimits(dt.timedelta(seconds=settings.deadline), settings.step_timeouts),
            dt.timedelta(days=settings.inbox_days),
            dt.timedelta(days=settings.outbox_days),
        )


class Store:
    """The transactions of one service. Synchronous: its transactions run one after another."""

    def __init__(
        self,
        service: Service,
        database: Database,
        limits: StoreLimits,
        now: Callable[[], dt.datetime],
        traced: Traced = traced_as_heard,
    ) -> None:
        self.service = service
        self._database = database
        self._times = limits.times
        self._now = now
        self._traced = traced
        self._schedules = Schedules(service.timed)
        self._retention = Retention(service.forgets, limits.inbox, limits.outbox)

    def commit(self, group: Sequence[Invocation], published: Iterable[str] = ()) -> list[Result]:
        """Carry out `group`, and mark the events with the ids `published` as published.

        Raises ReactionFailed when a reaction raises (the group is rolled back), DatabaseUnavailable when the
        database does not answer, ResourceShortage when this process is short of something.
        """
        return self.commit_and_begin(group, (), published)[0]

    def mark_published(self, event_ids: Sequence[str]) -> None:
        """Mark these events as published. If that fails, log it: they are published again, which has no effect.

        Raises DatabaseUnavailable when the database does not answer.
        """
        try:
            self.commit((), event_ids)
        except ReactionFailed as failure:
            log.error("outbox.marking_failed", events=len(event_ids), exc_info=failure.error)

    def begin(self, group: Sequence[Invocation]) -> list[ReadView | None]:
        """Record that the external calls of `group` begin; returns what each call may read.

        None for an invocation whose call must not be made: its instance was cancelled, or it was handled before.
        The record is committed before the call, so a later cancellation knows that the call may have happened.
        """
        return self.commit_and_begin((), group)[1]

    def commit_and_begin(
        self, group: Sequence[Invocation], calling: Sequence[Invocation], published: Iterable[str] = ()
    ) -> tuple[list[Result], list[ReadView | None]]:
        """`commit` of `group`, then `begin` of `calling`, in one transaction. Raises as `commit` does."""

        def do(batch: Batch) -> tuple[list[Result], list[ReadView | None]]:
            results = [batch.carry_out(invocation) for invocation in group]
            return results, [batch.begin(invocation) for invocation in calling]

        return self._transact(do, [*group, *calling], published)

    def tick(self, schedule: Schedule) -> list[Result]:
        """Run a scheduled reaction for the rows that are due."""
        now = self._now()
        with self._database.begin() as connection:
            keys = self._schedules.due(connection, schedule, now)
        return self._schedules.run(schedule, keys, partial(self._on_time, schedule), now)

    def _on_time(self, schedule: Schedule, keys: list[str]) -> list[Result]:
        return self._transact(lambda batch: batch.on_time(schedule, keys))

    def choose_suspect(self, suspects: Sequence[Invocation], *, untried: bool) -> Invocation | None:
        """The suspect to try next; its trial is recorded. With `untried`, None when each has been tried."""
        with self._database.begin() as connection:
            return poison_log.choose(connection, suspects, self._now(), untried=untried)

    def purge(self) -> int:
        """Delete a batch of rows that are too old; returns how many."""
        return self._retention.delete_batch(self._database, self._now())

    def pending(self, most: int, after: int = 0, up_to: int | None = None) -> tuple[list[OutboxEvent], int]:
        """Up to `most` events not published yet, numbered above `after` and up to `up_to`; and the last number."""
        with self._database.begin() as connection:
            return outbox.pending_events(connection, most, after, up_to)

    def last_decided(self) -> int:
        """The number of the newest event in the outbox."""
        with self._database.begin() as connection:
            return outbox.last_number(connection)

    def check_writable(self) -> None:
        """Raises DatabaseUnavailable, Conflict or ResourceShortage when the database takes no commit now."""
        check_writable(self._database)

    def refuses_login(self, error: Exception) -> bool:
        """Whether `error` means that the database's server refuses the user or the password."""
        return self._database.refuses_login(error)

    def _transact(
        self, do: Callable[[Batch], T], group: Sequence[Invocation] = (), published: Iterable[str] = ()
    ) -> T:
        for conflicts_left in reversed(range(MOST_CONFLICTS)):
            try:
                with self._database.begin(by_key=True) as connection:
                    batch = Batch(self.service, connection, self._now(), self._times, self._traced)
                    batch.open(group)
                    answer = do(batch)
                    with answered_together(connection):
                        batch.write()
                        outbox.mark_published(connection, published, batch.now)
                    passing(Place.IN_TRANSACTION)
                return answer
            except Conflict as conflict:
                if not conflicts_left:
                    raise ReactionFailed(conflict) from conflict
            except (DatabaseUnavailable, DatabaseRefused, ReactionFailed, ResourceShortage):
                raise
            except Exception as error:
                if (short := shortage(error)) is not None:
                    raise short from error
                # Whatever else loading, reacting or writing raised is the group's fault.
                raise ReactionFailed(error) from error
        raise AssertionError("unreachable")
