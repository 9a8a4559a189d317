"""Writes the files of a new project into a folder: all of them, or nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from choregraphie.errors import UserError
from choregraphie.scaffold.names import check_name

PLACEHOLDER = "__NAME__"
DOT = "dot."
_MODE = 0o755  # a temporary folder is for its owner alone


class CannotWrite(UserError):
    """The project cannot be written there. The text is one line."""


def write_project(name: str, parent: Path) -> Path:
    """Write the project `name` into a new folder of that name in `parent`, and return that folder.

    Nothing is overwritten. Raises BadName, and CannotWrite when the folder is not empty or cannot be written.
    """
    folder = parent / check_name(name)
    if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
        raise CannotWrite(f"{folder} is there already, and nothing is overwritten; choose another name")
    written = None
    try:
        # Beside it, so that an interrupted command leaves no half a project under its name.
        written = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        for path, text in _files(name):
            (written / path).parent.mkdir(parents=True, exist_ok=True)
            (written / path).write_text(text, encoding="utf-8")
        written.chmod(_MODE)
        written.rename(folder)
    except OSError as error:
        raise CannotWrite(f"{error.filename or folder}: {error.strerror}") from None
    finally:
        if written is not None:
            shutil.rmtree(written, ignore_errors=True)
    return folder


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _files(name: str) -> Iterator[tuple[Path, str]]:
    """The path and the text of each file of the project."""
    root = Path(str(files("choregraphie.scaffold"))) / "project"
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            parts = [_named(part, name) for part in path.relative_to(root).parts]
            yield Path(*parts), path.read_text(encoding="utf-8").replace(PLACEHOLDER, name)


def _named(part: str, name: str) -> str:
    plain = part.replace(PLACEHOLDER, name)
    return f".{plain.removeprefix(DOT)}" if plain.startswith(DOT) else plain
