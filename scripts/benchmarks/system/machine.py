"""What a benchmark ran on, and the file of its figures."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.installed_server import find_server

ROOT = Path(__file__).resolve().parents[3]
_PACKAGES = ("aio-pika", "aiormq", "pamqp", "pydantic", "sqlalchemy")


def described() -> dict[str, Any]:
    """The machine, the versions, the commit and the command, now."""
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["./scripts/bench", *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "rabbitmq": find_server().parent.parent.name.removeprefix("rabbitmq_server-"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "load": os.getloadavg()[0],
    }


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return ran.stdout.strip()


def write(name: str, figures: dict[str, Any]) -> Path:
    """Write the figures to `var/bench/NAME-TIME.json`, and return that path relative to the root."""
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return path.relative_to(ROOT)
