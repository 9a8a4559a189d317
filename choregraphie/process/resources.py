"""Checks whether this process has descriptors, memory, threads and disk space to spare."""

import contextlib
import errno
import mmap
import os
import threading
from pathlib import Path

from choregraphie.errors import ResourceShortage
from choregraphie.process.attribution import shortage

# What a session and its calls open at least: two connections to the broker, a database file with its journal, a
# connection for a call, and the files that resolve its name.
SPARE_DESCRIPTORS = 8
SPARE_MEMORY_BYTES = 8 * 1024 * 1024
SPARE_DISK_BYTES = 256 * 1024


def check_resources() -> None:
    """Allocate the minimum that work needs, and free it. Raises ResourceShortage when that fails."""
    try:
        _take_descriptors()
        mmap.mmap(-1, SPARE_MEMORY_BYTES).close()
        thread = threading.Thread(target=int, name="resource check")
        thread.start()
        thread.join()
    except Exception as error:
        found = shortage(error)
        if found is None:
            raise
        raise found from error


def is_short() -> bool:
    """Whether this process has less than the minimum that work needs."""
    try:
        check_resources()
    except ResourceShortage:
        return True
    return False


def check_disk(folder: Path) -> None:
    """Raises ResourceShortage when the disk of `folder` is nearly full, OSError when it cannot be queried."""
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize < SPARE_DISK_BYTES and found.f_blocks:
        raise ResourceShortage("disk space", f"{folder}: {os.strerror(errno.ENOSPC)}")


def _take_descriptors() -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(SPARE_DESCRIPTORS):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
