"""The status of a service's database, read beside a running worker."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from choregraphie.errors import DatabaseUnavailable
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database import Database, open_unchecked
from choregraphie.storage.engine import database_url, engine_for, error_text, is_missing
from choregraphie.storage.identity import IDENTITY, versions_of
from choregraphie.storage.outbox import OUTBOX

Versions = tuple[int, int]

_PENDING = select(func.count(), func.min(OUTBOX.c.decided_at)).where(OUTBOX.c.said_at.is_(None))


@dataclass(frozen=True)
class DatabaseStatus:
    """What a database holds.

    name         of the service that it is of; empty when it has never been prepared
    versions     of the engine's tables and of the service's own
    unpublished  events decided and not published; 0 of other versions than the expected ones
    oldest       when the oldest of them was decided
    clock        what the server's clock shows; None for a file
    unwritable   why nothing can be written: locked by another process, read-only; empty when it can
    """

    name: str
    versions: Versions
    unpublished: int
    oldest: dt.datetime | None
    clock: dt.datetime | None
    unwritable: str


def database_status(service: Service, settings: Settings) -> DatabaseStatus | None:
    """The status of the database of `service`; None when its file does not exist.

    Raises DatabaseRefused when it cannot be read. A database that is locked for writing takes some seconds.
    """
    url = database_url(service.name, settings)
    if is_missing(url):
        return None
    with open_unchecked(service, settings) as connection:
        server = connection.dialect.name != "sqlite"
        # The clock first: what follows takes time, and the question is asked between two looks at our own.
        clock = connection.execute(select(func.clock_timestamp())).scalar() if server else None
        found = connection.execute(select(IDENTITY)).first()
        versions = (found.runtime_version, found.version) if found else (0, 0)
        # The tables of another version may have other columns.
        readable = versions == versions_of(service)
        number, oldest = connection.execute(_PENDING).one() if readable else (0, None)
    unwritable = _why_unwritable(service, settings) if readable else ""
    return DatabaseStatus(found.name if found else "", versions, number, oldest, clock, unwritable)


def _why_unwritable(service: Service, settings: Settings) -> str:
    """Why a transaction that writes nothing cannot begin as a writer within some seconds; empty when it can."""
    database = Database(engine_for(database_url(service.name, settings)))
    try:
        with database.begin() as connection:
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql("LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
    except (DatabaseUnavailable, DBAPIError, database.driver.Error) as error:
        return error_text(error)
    finally:
        database.close()
    return ""
