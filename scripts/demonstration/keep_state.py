"""The state of a demonstration that --keep left running, as written in `var/`. Standard library only.

The command line reads it before the virtual environment exists.
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "var" / "demo.json"
NOTHING_KEPT = "No demonstration was left up."

NEXT = """\
The demonstration stays up. First, in another terminal, from the root of the repository, its settings:

  . {settings}

The web page of the monitor, to open in a browser:

  {page}

Then three commands to try:

  python -m saga_monitor                         # the live console; Ctrl-C leaves it
  python scripts/passer_commande.py --count 100  # a hundred orders
  python -m services inspect all                 # what the services know now

and, at the end:  ./scripts/demo --stop"""


def save(
    folder: Path,
    broker: Mapping[str, Any],
    workers: Mapping[str, tuple[int, str]],
    environ: Mapping[str, str],
    page: str,
) -> str:
    """Write down what stays running. Returns the instructions for the person."""
    settings = folder / "settings"
    # The workers' log format is not for commands that a person types.
    ours = {k: v for k, v in environ.items() if k.startswith("SAGA_") and k != "SAGA_LOG_FORMAT"}
    lines = [f"export {key}={shlex.quote(value)}\n" for key, value in ours.items()]
    path = Path(os.environ.get("VIRTUAL_ENV", ROOT / ".venv")) / "bin"
    settings.write_text("".join([*lines, f'export PATH={shlex.quote(str(path))}:"$PATH"\n']), encoding="utf-8")
    write_state({"folder": str(folder), "broker": dict(broker), "workers": dict(workers)})
    return NEXT.format(settings=settings.relative_to(ROOT), page=page)


def read_state() -> dict[str, Any] | None:
    """What --keep left running, as it was written; None when nothing was."""
    try:
        record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record


def write_state(record: dict[str, Any]) -> None:
    # Atomic: --stop must be able to read it.
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(json.dumps(record), encoding="utf-8")
    fresh.replace(RECORD)


def delete_state() -> None:
    RECORD.unlink(missing_ok=True)
