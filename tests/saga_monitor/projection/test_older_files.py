"""A file of an older version is renamed and rebuilt; one of a newer version is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import DatabaseRefused
from saga_monitor.projection.schema import VERSION
from saga_monitor.web.reader import Reader
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.memory_stream import HELD
from tests.support.order_saga import SAGAS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


def written_by(version: int, path: Path) -> None:
    if not path.exists():
        Monitor(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_older_file_is_renamed_reported_in_one_line_and_rebuilt(
    command: Any, stream: Stream, tmp_path: Path
) -> None:
    stream.publish("CMD-0", HELD)
    path = tmp_path / "deep" / "monitor.sqlite3"
    before = command("list", "--json")
    for aside in (f"{path}.version-{VERSION - 1}", f"{path}.version-{VERSION - 1}.2"):
        written_by(VERSION - 1, path)
        code, out, err = command("list", "--json")
        assert (code, len(err.splitlines())) == (0, 1)
        assert "CMD-0" in out
        assert "CMD-0" in before[1]
        assert f"kept as {aside}, and built anew from the stream" in err
        assert (version_of(path), version_of(path.parent / aside)) == (VERSION, VERSION - 1)
    assert command("list", "--json")[2] == "", "once"


def test_a_newer_file_is_refused_and_unchanged(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "monitor.sqlite3"
    written_by(VERSION + 1, path)
    code, out, err = command("list")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "written by a newer version of the monitor" in err
    assert version_of(path) == VERSION + 1
    with pytest.raises(DatabaseRefused, match="newer version"):
        Reader(path, 60.0, SAGAS)


def test_a_symbolic_link_stays_a_link(command: Any, stream: Stream, tmp_path: Path) -> None:
    stream.publish("CMD-0", HELD)
    real, path = tmp_path / "real.sqlite3", tmp_path / "deep" / "monitor.sqlite3"
    written_by(VERSION - 1, real)
    path.parent.mkdir()
    path.symlink_to(real)
    assert command("list")[0] == 0
    assert path.is_symlink()
    assert version_of(real) == VERSION
    assert version_of(tmp_path / f"real.sqlite3.version-{VERSION - 1}") == VERSION - 1
