"""Shows a test every statement before it is sent to a database, those that bypass SQLAlchemy included."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from unittest import mock

from sqlalchemy import event

from choregraphie.storage import engine, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from choregraphie.storage.database import Database


@contextlib.contextmanager
def watching(database: Database, look: Callable[[str], None]) -> Iterator[None]:
    """Call `look` with each statement before it is sent to `database`; an error of `look` reaches the sender."""

    def core(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        look(statement)

    real = statements.cursor_of

    def cursor_of(connection: Connection) -> Any:
        cursor = real(connection)
        return Watched(cursor, look) if connection.engine is database.engine else cursor

    event.listen(database.engine, "before_cursor_execute", core)
    try:
        with (
            mock.patch.object(statements, "cursor_of", cursor_of),
            mock.patch.object(engine, "cursor_of", cursor_of),
        ):
            yield
    finally:
        event.remove(database.engine, "before_cursor_execute", core)


class Watched:
    """A driver's cursor that shows its statements first."""

    def __init__(self, cursor: Any, look: Callable[[str], None]) -> None:
        self._cursor = cursor
        self._look = look

    def execute(self, statement: str, *values: Any) -> Any:
        self._look(statement)
        return self._cursor.execute(statement, *values)

    def executemany(self, statement: str, rows: Any) -> Any:
        self._look(statement)
        return self._cursor.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)
