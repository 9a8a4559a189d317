"""Which service a database is of, and of which versions its tables are."""

from sqlalchemy import Column, Connection, Integer, Table, Text, inspect, select

from choregraphie.errors import DatabaseRefused
from choregraphie.service.service import Service
from choregraphie.storage.engine import without_secrets
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.migrations import MIGRATIONS

IDENTITY = Table(
    "service",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("runtime_version", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)


def check_owner(connection: Connection, service: Service) -> tuple[int, int]:
    """The versions of the tables. Raises DatabaseRefused when the database is not the one of `service`."""
    url = without_secrets(connection.engine.url)
    if not inspect(connection).has_table(IDENTITY.name):
        raise DatabaseRefused(f"{url}: it has no tables yet; has a worker of {service.name} run?")
    found = connection.execute(select(IDENTITY)).first()
    if found is None or found.name != service.name:
        owner = f", but of {found.name}" if found else ""
        raise DatabaseRefused(f"{url}: not the database of {service.name}{owner}")
    return found.runtime_version, found.version


def versions_of(service: Service) -> tuple[int, int]:
    """The versions of the tables that this program writes: the engine's, and those of `service`."""
    return 1 + len(MIGRATIONS), 1 + len(service.migrations)
