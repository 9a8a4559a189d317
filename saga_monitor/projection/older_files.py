"""Sets a file of an older monitor aside; the stream rebuilds what it held."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from choregraphie import DatabaseRefused
from saga_monitor.projection.schema import APPLICATION_ID, BUSY_SECONDS, VERSION

_BESIDE = ("-wal", "-shm")


def set_aside_older(path: Path) -> str | None:
    """Renames the file at `path` to `….version-N` if its version N is older than this monitor's.

    Returns what was done, for a person; None when there was nothing to do, and for a file of any other kind.
    Raises DatabaseRefused when the file cannot be renamed.
    """
    if not path.is_file() or _older_version(path) is None:
        return None
    real = path.resolve()
    try:
        with _alone(real.parent):
            # Another process may have renamed it meanwhile and created the new file.
            version = _older_version(real)
            if version is None:
                return None
            aside = _free_name(f"{real}.version-{version}")
            # First the files that SQLite keeps beside it, or SQLite would use them for the new file.
            for suffix in _BESIDE:
                beside = Path(f"{real}{suffix}")
                if beside.exists():
                    beside.replace(f"{aside}{suffix}")
            real.replace(aside)
    except OSError as error:
        raise DatabaseRefused(
            f"{path}: written by an older version of the monitor, and cannot be renamed: {error.strerror}"
        ) from error
    kept = f"it is kept as {aside}, and built anew from the stream"
    return f"{path} was written by an older version of the monitor: {kept}"


def _older_version(path: Path) -> int | None:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        # Opening the file reports what is wrong with it.
        return None
    return int(version) if application == APPLICATION_ID and version < VERSION else None


def _free_name(wanted: str) -> Path:
    names = (Path(wanted if number == 1 else f"{wanted}.{number}") for number in count(1))
    return next(name for name in names if not name.exists())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time rename files in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
