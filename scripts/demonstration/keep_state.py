"""What --keep leaves up, written down so that --stop can end exactly that."""

import dataclasses
import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from scripts.demonstration.broker import Broker, release
from scripts.demonstration.processes import ROOT, end
from scripts.demonstration.record import NOTHING_KEPT, forget, kept, note

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


def keep(
    folder: Path, broker: Broker, workers: Mapping[str, tuple[int, str]], environ: Mapping[str, str], page: str
) -> str:
    """Write down what is left up. Returns what to tell the person."""
    settings = folder / "settings"
    # How the workers write their logs is no business of what a person types.
    ours = {k: v for k, v in environ.items() if k.startswith("SAGA_") and k != "SAGA_LOG_FORMAT"}
    lines = [f"export {key}={shlex.quote(value)}\n" for key, value in ours.items()]
    path = Path(os.environ.get("VIRTUAL_ENV", ROOT / ".venv")) / "bin"
    settings.write_text("".join([*lines, f'export PATH={shlex.quote(str(path))}:"$PATH"\n']), encoding="utf-8")
    note({"folder": str(folder), "broker": dataclasses.asdict(broker), "workers": dict(workers)})
    return NEXT.format(settings=settings.relative_to(ROOT), page=page)


def stop() -> str:
    """End what a --keep left up, and nothing else. Returns what to tell the person."""
    record = kept()
    if record is None:
        return NOTHING_KEPT
    end([(pid, born) for pid, born in record["workers"].values()])
    release(Broker(**record["broker"]))
    shutil.rmtree(record["folder"], ignore_errors=True)
    forget()
    return "The demonstration has ended; nothing of it is left."
