"""The PostgreSQL of one round: a private server that writes to disk, with a new database for each service."""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from scripts.benchmarks.system.workers import cpu_seconds
from scripts.nemesis.private_postgres import NoPostgresError, PrivatePostgres, private_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Counting the rows of an inbox reads them all, and its time is the server's: not more often than this.
_COUNT_EVERY_SECONDS = 0.25


class Databases:
    """A database for each service. `url`: of any of them, with `{service}` in the place of its name."""

    def __init__(self, server: PrivatePostgres, services: Sequence[str]) -> None:
        self._server = server
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._counted: dict[str, tuple[float, int]] = {}
        self.url = server.url("{service}")
        for service in services:
            server.create(service)

    def url_of(self, service: str) -> str:
        return self.url.format(service=service)

    def cpu_seconds(self) -> float:
        """The CPU time of the server and of its processes so far."""
        return cpu_seconds(self._server.pid)

    def inbox_rows(self, service: str) -> int:
        """The rows of an inbox, counted at most four times a second."""
        at, rows = self._counted.get(service, (0.0, 0))
        if time.monotonic() - at >= _COUNT_EVERY_SECONDS:
            rows = self._count(service)
            self._counted[service] = time.monotonic(), rows
        return rows

    def _count(self, service: str) -> int:
        if service not in self._connections:
            self._connections[service] = psycopg.connect(self.url_of(service), autocommit=True)
        try:
            found = self._connections[service].execute("SELECT count(*) FROM inbox").fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(found[0]) if found else 0

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


@contextmanager
def databases(services: Sequence[str]) -> Iterator[Databases]:
    """Start a server with the databases of these services, deleted at the end. Raises RuntimeError."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(
                private_postgres(fsync="on", shared_buffers="128MB", max_connections="100")
            )
        except NoPostgresError as error:
            raise RuntimeError(str(error)) from None
        yield stack.enter_context(contextlib.closing(Databases(server, services)))
