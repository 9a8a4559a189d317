"""The package as a user has it: a wheel, and a virtual environment with the wheel and what it asks for alone.

Nothing is downloaded. The distributions that the wheel requires are those of the environment of the tests; pip
compares them with what the wheel declares.
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "choregraphie", "contracts", "saga_monitor", "services")


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, without a network, into `folder`."""
    sources = folder / "sources"
    sources.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, sources / name)
    _pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(folder), str(sources))
    (found,) = folder.glob("*.whl")
    return found


class Installation:
    """A virtual environment with the wheel, its base dependencies and some extras."""

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        self._bin = folder / "bin"
        venv.create(folder, symlinks=True)
        packages = next(folder.glob("lib/python*/site-packages"))
        for name in _closure(wheel, extras):
            _link(metadata.distribution(name), packages)
        chosen = f"[{','.join(extras)}]" if extras else ""
        # It refuses the wheel when a distribution that it requires is not there, or of another version.
        _pip("--python", str(self._bin / "python"), "install", "--no-index", f"{wheel}{chosen}")

    def run(self, cwd: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in `cwd`, with `settings` as its only SAGA_ variables."""
        return self._run(cwd, command, settings, subprocess.PIPE)

    def run_on_terminal(self, cwd: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The same with standard output on a terminal, which nobody reads."""
        leader, follower = pty.openpty()
        try:
            return self._run(cwd, command, {"TERM": "xterm-256color", **settings}, follower)
        finally:
            os.close(leader)
            os.close(follower)

    def _run(
        self, cwd: Path, command: tuple[str, ...], settings: dict[str, str], stdout: int
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._program(command),
            cwd=cwd,
            env=self._environ(settings),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, cwd: Path, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on. What it writes on standard error is in `cwd`, in `started.log`."""
        with (cwd / "started.log").open("ab") as log:
            return subprocess.Popen(
                self._program(command), cwd=cwd, env=self._environ(settings), stdout=log, stderr=log
            )

    def _program(self, command: tuple[str, ...]) -> list[str]:
        return [str(self._bin / command[0]), *command[1:]]

    def _environ(self, settings: dict[str, str]) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("SAGA_", "PYTHON", "PYTEST_"))
        }
        return kept | settings


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def _closure(wheel: Path, extras: tuple[str, ...]) -> set[str]:
    """The names of all distributions that the wheel needs, with those that they need themselves."""
    (described,) = metadata.Distribution.discover(path=[str(wheel)])
    found: set[tuple[str, tuple[str, ...]]] = set()
    todo = list(_required(described, extras))
    while todo:
        wanted = todo.pop()
        # A distribution may be wanted with extras after it was wanted without.
        if wanted not in found:
            found.add(wanted)
            name, asked = wanted
            todo += _required(metadata.distribution(name), asked)
    return {name for name, _ in found}


def _required(
    distribution: metadata.Distribution, extras: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in distribution.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield wanted.name, tuple(wanted.extras)


def _link(distribution: metadata.Distribution, packages: Path) -> None:
    """Make the files of `distribution` visible in another environment."""
    for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
