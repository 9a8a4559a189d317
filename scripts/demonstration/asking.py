"""Asks the monitor and the services, by their commands, what they know at the end."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.demonstration.crew import ROOT, DemoError
from scripts.demonstration.kinds import Kind
from scripts.demonstration.verdict import Seen, mistakes

# An order is created before stock has noted that its goods are sold: that one is not answered by an event.
SETTLING_SECONDS = 10


def ask(environ: Mapping[str, str], kinds: Sequence[Kind]) -> tuple[Seen, list[str]]:
    """What is known now, and what is wrong with it; asked again while the last things settle."""
    end = time.monotonic() + SETTLING_SECONDS
    while True:
        seen = _seen(environ, kinds)
        wrong = mistakes(kinds, seen)
        if not wrong or time.monotonic() > end:
            return seen, wrong
        time.sleep(0.5)


def report(environ: Mapping[str, str]) -> str:
    """The global report, as a person sees it."""
    return _run(environ, "saga_monitor", "report")


def _seen(environ: Mapping[str, str], kinds: Sequence[Kind]) -> Seen:
    with ThreadPoolExecutor(max_workers=4) as pool:
        shown = pool.map(lambda kind: _json(environ, "saga_monitor", "show", kind.commande_id, "--json")[0], kinds)
        orders = {kind.commande_id: order for kind, order in zip(kinds, shown, strict=True)}
    services: dict[str, Any] = {}
    for state in _json(environ, "services", "inspect", "all", "--json")[0].values():
        services |= state
    return Seen(orders, _json(environ, "saga_monitor", "report", "--json")[0], services)


def _json(environ: Mapping[str, str], *command: str) -> list[dict[str, Any]]:
    """The JSON values that a command prints, one after the other."""
    text, decoder, values = _run(environ, *command), json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:]
    return values


def _run(environ: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", *command], cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoError(f"python -m {' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
