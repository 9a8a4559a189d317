"""A peer's database on SQLite: each delivery in one transaction of its own.

The events confirmed meanwhile are marked in it as well, which costs no commit of their own. Raw sqlite3 in the
thread of the loop is the fastest of what a peer may choose: an ORM, a thread or aiosqlite would cost it more.
"""

from __future__ import annotations

import sqlite3
import threading
import tomllib
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.peers.reactions import MARK, Said, handled, now_us, seed
from scripts.benchmarks.peers.tables import BUSINESS, MACHINERY

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from scripts.benchmarks.peers.events import Envelope
    from scripts.benchmarks.peers.reactions import Statement


class Store:
    """The database of one service. Threads may share it: one transaction at a time."""

    def __init__(self, service: str, path: Path, catalogue: Path) -> None:
        self.service = service
        self._confirmed: list[str] = []
        self._lock = threading.Lock()
        # Transactions are begun and committed here, not by the driver.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(MACHINERY + BUSINESS[service])
        self._connection.execute("BEGIN")
        for statement in seed(service, tomllib.loads(catalogue.read_text())):
            self._connection.execute(*statement)
        self._connection.execute("COMMIT")

    def handle(self, envelope: Envelope[Any], body: bytes) -> list[Said]:
        """Carry out one delivery in a transaction. Returns what is to be published now."""
        execute = self._connection.execute
        with self._lock:
            confirmed = self._confirmed[:]
            execute("BEGIN IMMEDIATE")
            try:
                said = self._carry_out(handled(self.service, envelope, body))
                if confirmed:
                    now = now_us()
                    self._connection.executemany(MARK, [(now, event_id) for event_id in confirmed])
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
            del self._confirmed[: len(confirmed)]
            return said

    def confirmed(self, event_id: str) -> None:
        """The broker has confirmed the event: the next transaction marks it."""
        self._confirmed.append(event_id)

    def _carry_out(self, steps: Generator[Statement, Any, list[Said]]) -> list[Said]:
        execute, row = self._connection.execute, None
        while True:
            try:
                statement = steps.send(row)
            except StopIteration as end:
                said: list[Said] = end.value
                return said
            row = execute(*statement).fetchone()
