"""`anomalies`: what is wrong now, and what to do about it."""

import argparse
from typing import Any

from saga_monitor.showing.anomaly_list import show_anomalies
from saga_monitor.verbs.session import Session, add_json


def add(commands: Any) -> None:
    command = commands.add_parser("anomalies", help="what is wrong and what to do; exit code 1 when anything is")
    add_json(command)
    command.set_defaults(run=_anomalies)


def _anomalies(arguments: argparse.Namespace, session: Session) -> int:
    read_up, console = session.read_up, session.console
    return show_anomalies(session.settings, read_up, for_program=arguments.json, console=console)
