"""A file that another version kept is refused in one line, and left as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseRefused
from saga_monitor.projection.schema import VERSION
from saga_monitor.web.reader import Reader
from tests.saga_monitor.conftest import Monitor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_a_file_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "monitor.sqlite3"
    Monitor(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(DatabaseRefused, match="delete it, the stream rebuilds it"):
        Reader(path, 60.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
