"""The reference of the commands: the help of each, as Markdown."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from unittest import mock

from choregraphie.cli.command import main as choregraphie
from choregraphie.cli.main import main as services
from saga_monitor.__main__ import main as monitor
from scripts import passer_commande
from services.application import APP

WIDTH = 100
SERVICES = (
    "run",
    "ready",
    "inspect",
    "journal",
    "outbox list",
    "outbox resend",
    "relay",
    *(f"topology {action}" for action in ("check", "apply", "export", "users")),
    "doctor",
    *(f"dlq {action}" for action in ("list", "show", "replay", "hold", "discard", "edit", "audit")),
    "settle",
    *(f"keys {action}" for action in ("new", "list")),
    *(
        f"choreography {action}"
        for action in ("check", "simulate", "steps", "diagram", "asyncapi", "schemas", "promela", "generate")
    ),
)
MONITOR = ("list", "show", "report", "history", "anomalies", "letter", "serve")

Program = Callable[[Sequence[str]], int]


def command_reference() -> str:
    """A section for each command: its name, and a block with its help."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    yield from _programs("python scripts/passer_commande.py", passer_commande.main, ("",))
    yield from _programs("python -m services", partial(services, APP), SERVICES)
    yield from _programs("python -m saga_monitor", monitor, ("", *MONITOR))
    yield from _programs("choregraphie", choregraphie, ("", "new"))


def _programs(name: str, program: Program, verbs: Sequence[str]) -> Iterator[str]:
    for verb in verbs:
        yield f"### `{f'{name} {verb}'.strip()}`\n\n```text\n{_help(program, verb.split())}\n```"


def _help(program: Program, verb: Sequence[str]) -> str:
    shown = io.StringIO()
    plain = {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        program([*verb, "--help"])
    return shown.getvalue().strip()
