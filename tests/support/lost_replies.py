"""Commits that the database carries out, and whose reply is lost."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from choregraphie.errors import DatabaseUnavailable
from choregraphie.storage import statements
from choregraphie.storage.database import Database
from tests.support.statements import Watched


class LostReplies:
    """Stands between the store and its database. `lost` counts the replies that did not come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost = 0
        self._table = ""
        self._left = 0
        wrote: set[Connection] = set()
        begin, cursor_of = Database.begin, statements.cursor_of

        def watched(connection: Connection) -> Watched:
            def look(statement: str) -> None:
                if statement.startswith(f"INSERT INTO {self._table} "):
                    wrote.add(connection)

            return Watched(cursor_of(connection), look)

        @contextlib.contextmanager
        def losing(database: Database, **how: Any) -> Iterator[Connection]:
            with begin(database, **how) as connection:
                wrote.discard(connection)
                yield connection
            if connection in wrote and self._left:
                self._left -= 1
                self.lost += 1
                raise DatabaseUnavailable("the reply to COMMIT was lost")

        monkeypatch.setattr(statements, "cursor_of", watched)
        monkeypatch.setattr(Database, "begin", losing)

    def after(self, table: str, times: int) -> None:
        """Lose the replies of the next `times` commits that insert into `table`."""
        self._table, self._left = table, times
