"""`doctor`: examines broker, topology, queues, databases and the installation."""

import argparse
import asyncio
import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.text import Text

from choregraphie.application import Application
from choregraphie.doctor import Finding, Verdict, examine
from choregraphie.logs import configure_logs
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.tables import Column, Fitted, console_of

_ABOUT = """\
Examine what the application needs to run: the broker's version and its known errors, nodes, alarms and clock; the
topology; workers, messages that wait, retries and dead letters; the services' databases and what they have not
published; libraries, settings, files of secrets. It changes nothing, and goes on when a part cannot be examined.
With SAGA_MANAGEMENT_URL, best that of ops, it sees more. Exit code 1 when something is wrong.
"""
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red", Verdict.UNKNOWN: "dim"}


def add(verbs: Any, application: Application) -> None:
    doctor = verbs.add_parser(
        "doctor", help="examine broker, queues, databases, settings: what is wrong, what to do", description=_ABOUT
    )
    add_json(doctor)
    doctor.set_defaults(do=_doctor)


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    configure_logs(settings)  # what is logged meanwhile belongs on standard error
    found = asyncio.run(examine(options.application, settings))
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    else:
        _print(found)
    return 1 if any(one.verdict is Verdict.WRONG for one in found) else 0


def _print(found: list[Finding]) -> None:
    table = Fitted(Column("verdict"), Column("about"), Column("found", wraps=True), Column("do", wraps=True))
    for one in found:
        table.add_row(Text(one.verdict, style=_STYLES[one.verdict]), one.about, one.what, one.remedy)
    console = console_of()
    console.print(table)
    counts = Counter(one.verdict for one in found)
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]))
