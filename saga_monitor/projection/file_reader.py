"""Reads the monitor's file, and opens it again when it was replaced."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saga_monitor.projection.file_identity import Change, FileChanged, Identity, reopened
from saga_monitor.projection.schema import connect, refused


class FileReader:
    """Reads the file at `path`."""

    def __init__(self, path: Path) -> None:
        """Raises DatabaseRefused when the file cannot be used."""
        self._path = path
        self._connection, self._identity = connect(path), Identity(path)

    def close(self) -> None:
        self._connection.close()

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises DatabaseRefused."""
        with self._asking() as connection:
            return connection.execute(question, values).fetchall()

    def _renew(self) -> None:
        """Reopens the file if it was replaced. Raises DatabaseRefused."""
        if self._connection.in_transaction:
            return
        change = self._identity.change()
        if change is Change.DAMAGED:
            raise FileChanged(self._path, change)
        if change is not None:
            self._connection, self._identity = reopened(self._path, self._connection, self._identity)
            self._opened()

    def _opened(self) -> None:
        """Prepares a new connection; for subclasses."""

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        self._renew()
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise refused(self._path, error) from error
