"""How far a contender is, read from what its services have stored."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction
    from pathlib import Path

    from scripts.benchmarks.system.postgresql import Databases

# The six deliveries of an order that is created; its services in the order in which they are started.
DELIVERIES: Mapping[str, int | Fraction] = {"stock": 2, "paiement": 1, "commande": 2, "notification": 1}
_POLL_SECONDS = 0.02


class Progress:
    """The deliveries that each service of one contender has handled.

    `deliveries`: of an order, by service. `databases`: where they are stored, unless in SQLite files in `folder`.
    """

    def __init__(
        self,
        folder: Path,
        deliveries: Mapping[str, int | Fraction] = DELIVERIES,
        databases: Databases | None = None,
    ) -> None:
        self._folder = folder
        self._databases = databases
        self.deliveries = deliveries
        self._connections: dict[str, sqlite3.Connection] = {}
        self._finished = 0
        self._asked_at = 0.0

    def handled(self, service: str) -> int:
        """The rows of its inbox, or what the relay counts."""
        counts = self._folder / f"{service}.count"
        if counts.exists():
            return int.from_bytes(counts.read_bytes(), "little")
        return self._databases.inbox_rows(service) if self._databases else self._rows(service)

    def finished(self) -> int:
        """The orders whose confirmation is stored; asked at most fifty times a second."""
        if time.monotonic() - self._asked_at >= _POLL_SECONDS:
            self._finished = self.handled("notification")
            self._asked_at = time.monotonic()
        return self._finished

    def all_handled(self, orders: int) -> bool:
        """Whether every delivery of that many orders was handled."""
        return all(self.handled(service) >= int(each * orders) for service, each in self.deliveries.items())

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _rows(self, service: str) -> int:
        path = self._folder / f"{service}.sqlite3"
        if not path.exists():
            return 0
        if service not in self._connections:
            self._connections[service] = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        connection = self._connections[service]
        try:
            # The benchmark deletes nothing, so the highest number is the count, and takes no reading of the table.
            return int(connection.execute("SELECT max(rowid) FROM inbox").fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return int(connection.execute("SELECT count(*) FROM inbox").fetchone()[0])
