"""Whether something is at a path. What cannot be told is an error, which `Path` of Python 3.14 calls absent."""

import stat
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether anything is at `path`, links followed.

    Raises OSError when that cannot be told: a folder may not be looked into, the name is too long.
    """
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Whether a regular file is at `path`, links followed. Raises OSError as `exists` does."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Whether a folder is at `path`, links followed. Raises OSError as `exists` does."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:  # no path holds a NUL
        return None
