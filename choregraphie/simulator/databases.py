"""The services' databases, in memory: opened once per process, reset for each run, read as plain rows."""

import sqlite3

from choregraphie import Instant, Settings
from choregraphie.simulator.final_state import Rows, Tables
from choregraphie.simulator.scenario import Scenario
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.inbox import METADATA


class Databases:
    """One database per service of `scenario`. Not for two runs at once."""

    def __init__(self, scenario: Scenario) -> None:
        settings = Settings(database_url="sqlite://", catalogue=scenario.seed)
        self.scenario = scenario
        self.services = {service.name: service for service in scenario.services}
        self.by_service: dict[str, Database] = {s.name: open_database(s, settings) for s in self.services.values()}
        self._files = {name: _file(database) for name, database in self.by_service.items()}
        self._fresh = {name: file.serialize() for name, file in self._files.items()}
        self._names = {name: _tables(file) for name, file in self._files.items()}

    def reset(self) -> None:
        """Give every database its initial content."""
        for name, fresh in self._fresh.items():
            self._files[name].deserialize(fresh)

    def save(self, service: str) -> bytes:
        return self._files[service].serialize()

    def restore(self, service: str, saved: bytes) -> None:
        self._files[service].deserialize(saved)

    def tables(self, service: str) -> Tables:
        """Every row of every table, as stored: amounts in cents, instants in microseconds."""
        return {table: self._rows(service, f"SELECT * FROM {table}") for table in self._names[service]}  # noqa: S608

    def instants(self, service: str) -> dict[str, frozenset[str]]:
        """The columns of each table that hold an instant."""
        known = [*METADATA.sorted_tables, *self.services[service].tables.sorted_tables]
        return {t.name: frozenset(c.name for c in t.columns if isinstance(c.type, Instant)) for t in known}

    def unpublished(self) -> int:
        query = "SELECT count(*) FROM outbox WHERE said_at IS NULL"
        return sum(self.count(name, query) for name in self.services)

    def undecided(self) -> int:
        """The number of instances that still wait for their decision."""
        return self.scenario.undecided(self)

    def close(self) -> None:
        for database in self.by_service.values():
            database.close()

    def count(self, service: str, query: str) -> int:
        """The number that `query` selects from the database of `service`."""
        (count,) = self._files[service].execute(query).fetchone()
        return int(count)

    def _rows(self, service: str, query: str) -> Rows:
        cursor = self._files[service].execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _file(database: Database) -> sqlite3.Connection:
    """The driver's connection; an in-memory database has exactly one."""
    connection = database.engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the URL says so
        return driver
    finally:
        connection.close()


def _tables(file: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [str(name) for (name,) in file.execute(query)]
