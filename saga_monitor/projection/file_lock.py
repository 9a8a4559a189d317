"""Locks the monitor's file for one writing process, whatever path leads to it."""

import contextlib
import fcntl
import os
from enum import StrEnum
from pathlib import Path

from choregraphie import DatabaseRefused


class Writer(StrEnum):
    """What writes a file: a monitor that keeps running, or a command that ends soon."""

    MONITOR = "monitor"
    COMMAND = "command"


def lock_file(path: Path, as_: Writer) -> int | None:
    """Locks the lock file and returns its descriptor; None while another process holds the lock."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unlockable(path, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError as error:
        os.close(lock)
        raise _unlockable(path, error) from None
    # A full disk prevents this note for waiting processes; the lock holds without it.
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.write(lock, as_.encode())
    return lock


def is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _unlockable(path: Path, error: OSError) -> DatabaseRefused:
    return DatabaseRefused(f"{path}: {error.strerror}; it is the lock of the file SAGA_MONITOR_DATABASE names")
