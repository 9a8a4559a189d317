"""Checks whether an open database file is still the one at its path, which SQLite never does.

SQLite keeps working in a file that was deleted or replaced, or truncated while its pages are in memory, without an
error. So users of the file check it before each transaction, with three `stat` calls.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from choregraphie import DatabaseRefused
from saga_monitor.projection.schema import connect

_BESIDE = ("-wal", "-shm")
_LEFT_OPEN: list[sqlite3.Connection] = []
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Change(Enum):
    """What happened to a file. The value is the end of a sentence."""

    REPLACED = "was deleted or replaced while this monitor used it"
    DAMAGED = "was damaged while this monitor used it"
    UNLOCKED = "lost its lock while this monitor used it"


class FileChanged(DatabaseRefused):
    """The file changed since it was opened. Its writer opens it again: see `Store.renew`."""

    def __init__(self, path: Path, change: Change) -> None:
        super().__init__(f"{path} {change.value}")
        self.change = change


@dataclass
class Identity:
    """The file at `path` when a connection was opened, with the files that SQLite keeps beside it."""

    path: Path
    _main: tuple[int, int] | None = field(init=False)
    _beside: dict[str, tuple[int, int] | None] = field(init=False)
    _size: int = 0

    def __post_init__(self) -> None:
        self._main = _node(self.path)
        self._beside = {suffix: _node(Path(f"{self.path}{suffix}")) for suffix in _BESIDE}

    def change(self) -> Change | None:
        """What has happened to the file since, or None."""
        try:
            found = self.path.stat()
        except OSError:
            return Change.REPLACED
        if (found.st_dev, found.st_ino) != self._main:
            return Change.REPLACED
        if found.st_size < self._size:
            return Change.DAMAGED
        # The file only grows, because it is never vacuumed.
        self._size = found.st_size
        kept = {suffix: node for suffix, node in self._beside.items() if node is not None}
        if any(_node(Path(f"{self.path}{suffix}")) != node for suffix, node in kept.items()):
            return Change.DAMAGED
        return None

    def remove_leftovers(self) -> None:
        """Deletes what SQLite kept beside the deleted file, or it would mix that into the new file."""
        for suffix, node in self._beside.items():
            beside = Path(f"{self.path}{suffix}")
            if node is not None and _node(beside) == node and _node(self.path) != self._main:
                beside.unlink(missing_ok=True)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether `error` means that the file's content is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def rescue(connection: sqlite3.Connection, path: Path) -> bool:
    """Replaces the damaged file by a copy of what `connection` still sees; False when that is damaged too.

    The damaged file is kept beside it as `….damaged`. Raises OSError or sqlite3.Error when nothing can be written.
    """
    copy = Path(f"{path}.rescued")
    whole, aside = _copied(connection, copy), Path(f"{path}.damaged")
    if whole:
        shutil.copyfile(path, aside)
    # Before the new file exists: SQLite would use these files for the new one.
    for suffix in _BESIDE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    if whole:
        copy.replace(path)
    else:
        copy.unlink(missing_ok=True)
        path.replace(aside)
    return whole


def reopened(path: Path, left: sqlite3.Connection, identity: Identity) -> tuple[sqlite3.Connection, Identity]:
    """Opens the file that is now at `path`, to replace the connection `left`. Raises DatabaseRefused.

    `left` stays open: closing the last connection deletes `…-wal` by name, which now belongs to the new file.
    """
    identity.remove_leftovers()
    connection = connect(path)
    _LEFT_OPEN.append(left)
    return connection, Identity(path)


def _copied(connection: sqlite3.Connection, copy: Path) -> bool:
    copy.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
            return target.execute("PRAGMA quick_check").fetchone() == ("ok",) and _has_tables(target)
    except sqlite3.Error as error:
        if is_damage(error):
            return False
        raise


def _has_tables(target: sqlite3.Connection) -> bool:
    return bool(target.execute("SELECT count(*) FROM sqlite_master WHERE name = 'position'").fetchone()[0])


def _node(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
