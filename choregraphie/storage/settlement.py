"""Writes what a person has done in place of a service: the journal entries and the event, in one transaction."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable, UserError
from choregraphie.saga.envelope import Instance
from choregraphie.service.action import Entry, State
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage import outbox
from choregraphie.storage.database import Conflict, Database
from choregraphie.storage.engine import database_url, engine_for, is_missing, not_opened, without_secrets
from choregraphie.storage.identity import check_owner, versions_of
from choregraphie.storage.journal import Journal
from choregraphie.storage.outbox import OutboxEvent

_TRIES = 5


class AlreadyAnswered(UserError):
    """The service has answered, or can no longer: there is nothing to settle."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written. `entry`: of the action that answers. `undoes`: the actions that are undone by it."""

    entry: Entry
    event: OutboxEvent
    undoes: tuple[str, ...] = ()

    @property
    def instance(self) -> Instance:
        """The instance that is settled."""
        return self.entry.instance


def settle(service: Service, settings: Settings, settlement: Settlement, now: dt.datetime) -> None:
    """Commit `settlement` in the database of `service`; a worker may run meanwhile.

    Raises AlreadyAnswered when the journal has an end of the action already, DatabaseRefused when the database
    cannot be used, and DatabaseUnavailable when it does not answer now.
    """
    with _open_beside_worker(service, settings) as database:
        for _ in range(_TRIES):
            with contextlib.suppress(Conflict), database.begin() as connection:
                journal = Journal(connection)
                journal.load([settlement.instance])
                _check(journal.entry(settlement.instance, settlement.entry.action))
                for action in settlement.undoes:
                    journal.undo(settlement.instance, action, settlement.event.event_id, now)
                journal.record(settlement.entry)
                journal.write()
                outbox.decide(connection, [settlement.event])
                return
    raise DatabaseUnavailable(f"{service.name} writes to the same instance; try again")


def mark_published(service: Service, settings: Settings, event_id: str, now: dt.datetime) -> None:
    """Mark the event as published. Raises as `settle` does."""
    with _open_beside_worker(service, settings) as database, database.begin() as connection:
        outbox.mark_published(connection, [event_id], now)


def _check(entry: Entry | None) -> None:
    if entry is None or entry.state is State.BEGUN:
        return
    if entry.state is State.TOMBSTONE:
        raise AlreadyAnswered(f"{entry.action} was cancelled or given up, and that was said")
    raise AlreadyAnswered(f"{entry.action} is {entry.state.value} since {entry.at:%F %T} UTC; nothing is missing")


@contextlib.contextmanager
def _open_beside_worker(service: Service, settings: Settings) -> Iterator[Database]:
    """The database of `service`, without the lock on its file that a worker has."""
    url = database_url(service.name, settings)
    if is_missing(url):
        raise DatabaseRefused(f"{without_secrets(url)}: no such database; has a worker of {service.name} run yet?")
    database = Database(engine_for(url))
    try:
        if _versions(database, url, service) != versions_of(service):
            raise DatabaseRefused(f"{without_secrets(url)}: of another version; start a worker of this one first")
        yield database
    finally:
        database.close()


def _versions(database: Database, url: URL, service: Service) -> tuple[int, int]:
    try:
        with database.begin() as connection:
            return check_owner(connection, service)
    except (DatabaseUnavailable, Conflict, DBAPIError, database.driver.Error) as error:
        raise not_opened(url, error, database.engine) from error
