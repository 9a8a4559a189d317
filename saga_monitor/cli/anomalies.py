"""`anomalies`: shows what is wrong now, and what to do about it."""

import argparse
import asyncio
import json
import sys
from contextlib import closing
from typing import Any

from choregraphie.terminal.arguments import add_json
from saga_monitor.cli.context import CommandContext
from saga_monitor.diagnosis.anomalies import as_json
from saga_monitor.projection.gaps import acknowledge_gaps
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.broker_status import ask_broker
from saga_monitor.text.anomaly_list import anomaly_view, judge_now, say_that_it_waits


def add(commands: Any) -> None:
    """Declare the verb `anomalies` and its arguments."""
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


def _anomalies(arguments: argparse.Namespace, context: CommandContext) -> int:
    if arguments.acknowledge:
        _acknowledge(context)
    # The broker is asked first, so that the history holds all that the queues held.
    status = asyncio.run(ask_broker(context.settings, say_that_it_waits))
    freshness = context.read_history()
    with closing(Queries(context.settings.monitor_database, context.settings.stuck_after)) as queries:
        judgement = judge_now(queries, status, freshness, context.settings)
    found = judgement.anomalies
    if arguments.json:
        print(json.dumps([as_json(anomaly) | {"total": judgement.total} for anomaly in found], indent=2))
    else:
        view = anomaly_view(found, judgement.in_time, full=context.full)
        context.console.print(view, soft_wrap=context.full)
    return 1 if found else 0


def _acknowledge(context: CommandContext) -> None:
    context.read_history()
    with closing(Store(context.settings.monitor_database)) as store, store.transaction() as connection:
        count = acknowledge_gaps(connection)
    noted = "nothing that was lost unread was left to acknowledge" if not count else f"{count} acknowledged"
    print(f"saga_monitor: {noted}", file=sys.stderr)
