"""Commits that are carried out, and whose reply is lost on the way back."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event

from services.runtime.database import Database
from services.runtime.errors import DatabaseTrouble


class LostReplies:
    """Stands between the books and their database. `lost` counts the replies that did not come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost = 0
        self._table = ""
        self._left = 0
        begin = Database.begin

        @contextlib.contextmanager
        def losing(database: Database) -> Iterator[Connection]:
            wrote = False

            def look(_: object, __: object, statement: str, *___: object) -> None:
                nonlocal wrote
                wrote = wrote or statement.startswith(f"INSERT INTO {self._table} ")

            with begin(database) as connection:
                event.listen(connection, "before_cursor_execute", look)
                yield connection
            if wrote and self._left:
                self._left -= 1
                self.lost += 1
                raise DatabaseTrouble("the reply to COMMIT was lost")

        monkeypatch.setattr(Database, "begin", losing)

    def after(self, table: str, times: int) -> None:
        """Lose the reply of the next commits that put rows into `table`."""
        self._table, self._left = table, times
