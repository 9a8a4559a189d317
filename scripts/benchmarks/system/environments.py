"""A virtual environment for each peer, under `var/benchmarks`, made from its `requirements.txt`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_PEERS = ROOT / "scripts" / "benchmarks" / "peers"


def python_of(peer: str) -> Path:
    """The interpreter of the peer's environment. Its name changes with its requirements."""
    requirements = _PEERS / peer / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return ROOT / "var" / "benchmarks" / f"{peer}-{digest}" / "bin" / "python"


def ensure(peer: str) -> None:
    """Make the peer's environment unless it is there. Raises RuntimeError when its packages cannot be had."""
    python = python_of(peer)
    folder = python.parent.parent
    done = folder / ".installed"
    if done.exists():
        return
    print(f"Installing {peer} in {folder.relative_to(ROOT)} ...", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    requirements = str(_PEERS / peer / "requirements.txt")
    ran = subprocess.run([*command, "-r", requirements], capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise RuntimeError(f"the packages of {peer} cannot be installed: {ran.stderr.strip()[-300:]}")
    done.touch()
