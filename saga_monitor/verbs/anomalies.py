"""`anomalies`: what is wrong now, and what to do about it."""

import argparse
from typing import Any

from saga_monitor.showing.anomaly_list import show_anomalies
from saga_monitor.verbs.session import Session, add_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "anomalies",
        help="what is wrong and what to do; exit code 1 when anything is",
        description="What is wrong now, why, and what to do about it; exit code 1 when anything is. An"
        " order is stuck here when it is silent for longer than 99 of 100 took at its step, and at least for"
        " SAGA_STUCK_AFTER: of a slow step that is later than its flag STUCK, which is for SAGA_STUCK_AFTER alone."
        " A contradiction, an event that is not allowed and an order's id used twice stay true for ever: they are"
        " shown for a day after they were said. Clocks that differ and words by somebody else's exchange are shown"
        " for an hour.",
    )
    add_json(command)
    command.set_defaults(run=_anomalies)


def _anomalies(arguments: argparse.Namespace, session: Session) -> int:
    read_up, console = session.read_up, session.console
    return show_anomalies(session.settings, read_up, for_program=arguments.json, console=console)
