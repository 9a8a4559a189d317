"""Executes a group in one transaction: inbox, reactions, rows, journal and outbox, all or nothing."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import bindparam

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable, ReactionFailed, ResourceShortage
from choregraphie.failpoints import Place, passing
from choregraphie.process.attribution import shortage
from choregraphie.service.service import Schedule, Service
from choregraphie.service.transaction import ReadView
from choregraphie.settings import Settings
from choregraphie.storage import inbox, outbox
from choregraphie.storage import poison_log as trials
from choregraphie.storage.batch import Batch
from choregraphie.storage.database import Conflict, Database
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.outbox import OutboxEvent
from choregraphie.storage.retention import Forgetting
from choregraphie.storage.statements import Prepared
from choregraphie.storage.writability import check_writable

# How often a transaction that lost against another worker's is tried before its deliveries are.
CONFLICTS = 5
# A tick of the clock takes this many due rows at most; the next tick takes the next.
DUE = 200
# A row whose timed reaction fails is left alone for so long, or some hundreds of them would hold up all others.
PUT_OFF = dt.timedelta(minutes=1)
PURGED_AT_ONCE = 500

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class StoreLimits:
    """How long an order may wait for its decision, and how long the inbox and what was said are remembered."""

    deadline: dt.timedelta
    inbox: dt.timedelta
    outbox: dt.timedelta

    @classmethod
    def of(cls, settings: Settings) -> "StoreLimits":
        return cls(
            dt.timedelta(seconds=settings.deadline),
            dt.timedelta(days=settings.inbox_days),
            dt.timedelta(days=settings.outbox_days),
        )


class Store:
    """The books of one service. Synchronous: it runs on the worker's own database thread."""

    def __init__(
        self, service: Service, database: Database, terms: StoreLimits, now: Callable[[], dt.datetime]
    ) -> None:
        self.service = service
        self._database = database
        self._terms = terms
        self._now = now
        self._whose_turn = {
            schedule: Prepared(schedule.due.limit(bindparam("most")), ["now", "most"])
            for schedule in service.timed
        }
        self._put_off: dict[tuple[str, str], dt.datetime] = {}
        self._forgetting = [Forgetting(forget) for forget in service.forgets]

    def refuses_login(self, trouble: Exception) -> bool:
        """Whether `trouble` is that the database's server refuses the user or the password."""
        return self._database.refuses_login(trouble)

    def commit(self, group: Sequence[Invocation], said: Iterable[str] = ()) -> list[Result]:
        """Carry out `group`, and mark the events of ids `said` as said.

        Raises ReactionFailed when a reaction raises (the group is undone), DatabaseUnavailable when the database
        does not answer, ResourceShortage when the worker's own resources do not suffice.
        """
        return self._transact(lambda page: [page.carry_out(invocation) for invocation in group], group, said)

    def mark_said(self, said: Sequence[str]) -> None:
        """Mark the events of ids `said` as said, or say why not: they will be said once more, which harms nobody.

        Raises DatabaseUnavailable when the database does not answer.
        """
        try:
            self.commit((), said)
        except (ReactionFailed, DatabaseUnavailable) as failure:
            cause = failure.__cause__
            if isinstance(failure, DatabaseUnavailable) and not isinstance(cause, Conflict):
                raise
            log.error("outbox.marking_failed", events=len(said), exc_info=cause)

    def begin(self, group: Sequence[Invocation]) -> list[ReadView | None]:
        """Note that the calls of `group` are about to be made, and give each a look at its rows.

        None for one whose call must not be made: its order was cancelled, or it was dealt with before. The
        note goes first, so that a cancellation from now on knows that the call may have happened.
        """
        return self._transact(lambda page: [page.begin(invocation) for invocation in group], group, ())

    def tick(self, schedule: Schedule) -> list[Result]:
        """Carry out a timed reaction for each row that is due."""
        keys = self._due(schedule)
        try:
            return self._on_time(schedule, keys) if keys else []
        except ReactionFailed:
            # One row must not keep the others waiting for ever.
            return [result for key in keys for result in self._alone_on_time(schedule, key)]

    def _due(self, schedule: Schedule) -> list[str]:
        now = self._now()
        self._put_off = {row: until for row, until in self._put_off.items() if until > now}
        put_off = {key for action, key in self._put_off if action == schedule.action}
        with self._database.begin() as connection:
            found = self._whose_turn[schedule].rows(connection, now, DUE + len(put_off))
            return [str(key) for (key,) in found if str(key) not in put_off][:DUE]

    def _on_time(self, schedule: Schedule, keys: list[str]) -> list[Result]:
        return self._transact(lambda page: page.on_time(schedule, keys), (), ())

    def _alone_on_time(self, schedule: Schedule, key: str) -> list[Result]:
        try:
            return self._on_time(schedule, [key])
        except ReactionFailed as failure:
            # There is no message to retry or to set aside: the row stays due, and its turn comes again.
            log.error(
                "clock.failed", action=schedule.action, row=key, again_in_s=PUT_OFF.seconds, exc_info=failure.error
            )
            self._put_off[schedule.action, key] = self._now() + PUT_OFF
            return []

    def try_one(self, poison_trials: Sequence[Invocation], untried: bool) -> Invocation | None:
        """Of `suspects` one that was never tried, else the one that was longest ago; its trial is written down.

        None when it has been tried before and it should be `untried`.
        """
        with self._database.begin() as connection:
            tried = trials.last(connection, (invocation.identity for invocation in poison_trials))
            chosen = min(poison_trials, key=lambda invocation: tried.get(invocation.identity, 0))
            if untried and chosen.identity in tried:
                return None
            trials.begin(connection, chosen.identity, self._now())
            return chosen

    def check_writable(self) -> None:
        """Raises DatabaseUnavailable, Conflict or ResourceShortage when the database takes no commit now."""
        check_writable(self._database)

    def purge(self) -> int:
        """Forget a batch of what is too old to be asked about (small: it holds up nobody); how many rows."""
        now = self._now()
        old = now - self._terms.inbox
        with self._database.begin() as connection:
            return sum(
                (
                    inbox.purge(connection, old, PURGED_AT_ONCE),
                    outbox.purge(connection, now - self._terms.outbox, PURGED_AT_ONCE),
                    trials.purge(connection, old, PURGED_AT_ONCE),
                    *(each.batch(connection, old, PURGED_AT_ONCE) for each in self._forgetting),
                )
            )

    def unsaid(self, most: int, after: int = 0, up_to: int | None = None) -> tuple[list[OutboxEvent], int]:
        """Up to `most` events decided and not said, numbered above `after` and up to `up_to`; the last number."""
        with self._database.begin() as connection:
            return outbox.pending_events(connection, most, after, up_to)

    def last_decided(self) -> int:
        """The number of the event decided last."""
        with self._database.begin() as connection:
            return outbox.last_number(connection)

    def _transact(self, do: Callable[[Batch], T], group: Sequence[Invocation], said: Iterable[str]) -> T:
        for last in reversed(range(CONFLICTS)):
            try:
                with self._database.begin() as connection:
                    page = Batch(self.service, connection, self._now(), self._terms.deadline)
                    page.open(group)
                    answer = do(page)
                    page.write()
                    outbox.mark_published(connection, said, page.now)
                    passing(Place.IN_TRANSACTION)
                return answer
            except Conflict as conflict:
                if not last and not group:
                    raise DatabaseUnavailable(str(conflict)) from conflict
                if not last:
                    raise ReactionFailed(conflict) from conflict
            except (DatabaseUnavailable, DatabaseRefused, ReactionFailed, ResourceShortage):
                raise
            except Exception as error:
                if (short := shortage(error)) is not None:
                    raise short from error
                # Whatever reading, reacting or writing raised is the group's doing.
                raise ReactionFailed(error) from error
        raise AssertionError("unreachable")
