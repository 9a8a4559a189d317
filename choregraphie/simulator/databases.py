"""The services' databases, in memory: opened once per process, reset for each run, read as plain rows."""

from collections.abc import Iterable

from choregraphie import Instant, Settings
from choregraphie.simulator.final_state import Rows, Tables
from choregraphie.simulator.scenario import Scenario
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.memory_file import MemoryFile


class Databases:
    """One database per service of `scenario`. Not for two runs at once."""

    def __init__(self, scenario: Scenario) -> None:
        settings = Settings(database_url="sqlite://", catalogue=scenario.seed)
        self.scenario = scenario
        self.services = {service.name: service for service in scenario.services}
        self.by_service: dict[str, Database] = {s.name: open_database(s, settings) for s in self.services.values()}
        self._files = {name: MemoryFile(database) for name, database in self.by_service.items()}
        self._fresh = {name: file.copy() for name, file in self._files.items()}
        self._names = {name: file.tables() for name, file in self._files.items()}

    def reset(self) -> None:
        """Give every database its initial content."""
        for name, fresh in self._fresh.items():
            self._files[name].become(fresh)

    def save(self, service: str) -> bytes:
        return self._files[service].save()

    def restore(self, service: str, saved: bytes) -> None:
        self._files[service].restore(saved)

    def tables(self, service: str) -> Tables:
        """Every row of every table, as stored: amounts in cents, instants in microseconds."""
        return {table: self.rows(service, table) for table in self._names[service]}

    def rows(self, service: str, table: str) -> Rows:
        """Every row of one table."""
        return self._files[service].rows(table)

    def keys(self, service: str, table: str, types: Iterable[str]) -> set[str]:
        """The keys of the rows of inbox or outbox that are about an event of `types`."""
        return self._files[service].keys(table, types)

    def instants(self, service: str) -> dict[str, frozenset[str]]:
        """The columns of each table that hold an instant."""
        known = [*METADATA.sorted_tables, *self.services[service].tables.sorted_tables]
        return {t.name: frozenset(c.name for c in t.columns if isinstance(c.type, Instant)) for t in known}

    def unpublished(self) -> int:
        return sum(file.unpublished() for file in self._files.values())

    def undecided(self) -> int:
        """The number of instances that still wait for their decision."""
        return self.scenario.undecided(self)

    def close(self) -> None:
        for fresh in self._fresh.values():
            fresh.close()
        for database in self.by_service.values():
            database.close()
