"""What a new step touches: a real change, applied in a copy of the tree, checked there, and counted.

`changes/` has each change for both wirings. The new service is the same in both, but for what it hears.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.benchmarks.system.contenders import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGES = Path(__file__).parent / "changes"
# Change → what it is, and the service that it adds.
ADDED = {
    "fraud": ("a fraud check between stock and payment", "fraude"),
    "loyalty": ("loyalty points after the creation", "fidelite"),
}
_COPIED = ("choregraphie", "contracts", "services")
_LONGEST_SECONDS = 300


class FileChange(NamedTuple):
    path: str
    added: int
    removed: int


def measure(change: str, wiring: str) -> dict[str, Any]:
    """Apply the change, check that the saga still holds, and count.

    Raises RuntimeError when the change does not fit the tree any more, or what it makes is refused.
    """
    patch = CHANGES / f"{change}-{wiring}.patch"
    with tempfile.TemporaryDirectory(prefix="choregraphie-change-") as path:
        copy = Path(path)
        for folder in _COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        numstat = _run(copy, "git", "apply", "--numstat", str(patch))
        _run(copy, "git", "apply", str(patch))
        _run(copy, sys.executable, "-m", "services", "choreography", "check", SAGA_COORDINATION=wiring)
    return {"change": change, "wiring": wiring} | summary(read(numstat), ADDED[change][1])


def read(numstat: str) -> Iterator[FileChange]:
    """The lines of `git diff --numstat`."""
    for line in numstat.splitlines():
        added, removed, path = line.split("\t")
        yield FileChange(path, int(added), int(removed))


def summary(changes: Iterator[FileChange], new_service: str) -> dict[str, Any]:
    """Lines of the new service and its contracts, lines elsewhere, and the services that existed and change."""
    own = (f"services/{new_service}/", f"contracts/{new_service}.py")
    new, elsewhere, files, touched = 0, 0, 0, set[str]()
    for path, added, removed in changes:
        if path.startswith(own):
            new += added + removed
            continue
        elsewhere, files = elsewhere + added + removed, files + 1
        match path.split("/"):
            case ["services", service, _, *_]:
                touched.add(service)
    return {"new_lines": new, "lines_elsewhere": elsewhere, "files_elsewhere": files, "services": sorted(touched)}


def _run(folder: Path, *command: str, **settings: str) -> str:
    # git looks for a repository above the copy; none is wanted.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SAGA_", "GIT_"))}
    given = kept | {"PYTHONPATH": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent)} | settings
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=folder, env=given, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command[-3:])}: {(ran.stderr or ran.stdout).strip()[-500:]}")
    return ran.stdout
