"""Locks a SQLite file for one writing process, and notices when the file is removed or replaced.

The lock is a flock on the database's own inode: it holds whatever path another process uses, and nobody can remove
it. SQLite's own locks are POSIX locks; on a local file system, a flock does not affect them. But closing *any*
descriptor of a file drops all POSIX locks that the process has on it, including SQLite's ("How To Corrupt An
SQLite Database File", 2.2). So this descriptor is opened before SQLite opens the file and closed after SQLite has
closed it, and a file that this process has locked is recognised by its inode and never opened a second time.
"""

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path

from choregraphie.errors import DatabaseRefused, DatabaseUnavailable

_Identity = tuple[int, int]

# This process or the machine is short of something now. A read-only disk (EROFS) needs a person.
_TRANSIENT = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOLCK,
    errno.EINTR,
    errno.EAGAIN,
}

_held: set[_Identity] = set()
_holding = threading.Lock()


class LockedFile:
    """The database file at `path`, created with its folder if it does not exist, and locked until `release`.

    Raises DatabaseRefused when another process has locked it (`taken` says what to do) or when it cannot be
    opened, and DatabaseUnavailable when descriptors, memory or disk space are short now.
    """

    def __init__(self, path: Path, taken: str) -> None:
        self._path = path
        # Absolute, since the working directory may change.
        self._log = Path(f"{path.absolute()}-wal")
        self._log_identity: _Identity | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _holding:
                self._descriptor, self._identity = _hold(path.absolute(), f"{path}: {taken}")
        except OSError as error:
            kind = DatabaseUnavailable if error.errno in _TRANSIENT else DatabaseRefused
            raise kind(f"{path}: {error.strerror}") from None

    def check(self) -> None:
        """Raises DatabaseRefused when the file, or SQLite's log beside it, is no longer the one that was opened.

        What is written to a deleted file is lost with the process. Raises it also when that can no longer be told.
        """
        try:
            log, database = _identity_of(self._log), _identity_of(self._path.absolute())
        except PermissionError as error:
            raise DatabaseRefused(f"{self._path}: {error.strerror}") from None
        self._log_identity = self._log_identity or log
        if database != self._identity or log != self._log_identity:
            raise DatabaseRefused(
                f"{self._path}: removed or replaced while it was in use; put it back, with its -wal file, or start"
                " again with what is there now"
            )

    def release(self) -> None:
        """Unlock the file. Call it only after SQLite has closed the file."""
        with _holding:
            os.close(self._descriptor)
            _held.discard(self._identity)


def _hold(path: Path, taken: str) -> tuple[int, _Identity]:
    if _identity_of(path) in _held:
        raise DatabaseRefused(taken)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        state = os.fstat(descriptor)
        if state.st_nlink > 1:
            # SQLite names its log after the path: by another name, the commits in the log would not be found.
            raise DatabaseRefused(f"{path}: has {state.st_nlink} names (hard links); a database must have one")
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseRefused(taken) from None
    except BaseException:
        os.close(descriptor)
        raise
    identity = (state.st_dev, state.st_ino)
    _held.add(identity)
    return descriptor, identity


def _identity_of(path: Path) -> _Identity | None:
    """The device and inode of the file at `path`; None when there is no file."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        state = path.stat()
        return state.st_dev, state.st_ino
    return None
