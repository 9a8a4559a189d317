"""`anomalies`: shows what is wrong now, and what to do about it."""

import argparse
import sys
from contextlib import closing
from typing import Any

from choregraphie.terminal.arguments import add_json
from saga_monitor.cli.context import Session
from saga_monitor.projection.gaps import acknowledge_gaps
from saga_monitor.projection.store import Store
from saga_monitor.text.anomaly_list import show_anomalies


def add(commands: Any) -> None:
    command = commands.add_parser(
        "anomalies",
        help="what is wrong and what to do; exit code 1 when anything is",
        description="What is wrong now, why, and what to do about it; exit code 1 when anything is. An"
        " order is stuck here when it is silent for longer than 99 of 100 took at its step, and at least for"
        " SAGA_STUCK_AFTER: of a slow step that is later than its flag STUCK, which is for SAGA_STUCK_AFTER alone."
        " A contradiction, an event that is not allowed and an order's id used twice stay true for ever: they are"
        " shown for a day after they were said. Clocks that differ and words by somebody else's exchange are shown"
        " for an hour. Events that were lost before this monitor had read them are shown until they are"
        " acknowledged, or for SAGA_MONITOR_KEEP_DAYS. What the broker's queues hold is counted by the broker;"
        " where it cannot be asked, that is said, and is wrong too. With --json: an array; each element says how"
        " many things it stands for (`count`), and how many are wrong in all (`total`).",
    )
    add_json(command)
    command.add_argument(
        "--acknowledge",
        action="store_true",
        help="take note of what was lost unread: it is not shown any more, and what else is wrong is",
    )
    command.set_defaults(run=_anomalies)


def _anomalies(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.acknowledge:
        _acknowledge(session)
    return show_anomalies(session, for_program=arguments.json)


def _acknowledge(session: Session) -> None:
    session.read_up()
    with closing(Store(session.settings.monitor_database)) as store, store.transaction() as connection:
        count = acknowledge_gaps(connection)
    noted = "nothing that was lost unread was left to acknowledge" if not count else f"{count} acknowledged"
    print(f"saga_monitor: {noted}", file=sys.stderr)
