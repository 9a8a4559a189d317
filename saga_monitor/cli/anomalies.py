"""`anomalies`: shows what is wrong now, and what to do about it."""

import argparse
import asyncio
import json
import sys
from contextlib import closing
from typing import Any

from choregraphie.saga.saga_set import SagaSet
from choregraphie.signing import verifier_for
from choregraphie.terminal.arguments import add_json
from saga_monitor.cli.context import CommandContext, add_saga
from saga_monitor.diagnosis.anomalies import as_json
from saga_monitor.projection.gaps import acknowledge_gaps
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.broker_status import ask_broker
from saga_monitor.text.anomaly_list import anomaly_view, judge_now, say_that_it_waits


def add(commands: Any, sagas: SagaSet) -> None:
    """Declare the verb `anomalies` and its arguments."""
    many = sagas.noun[1]
    command = commands.add_parser(
        "anomalies",
        help="what is wrong and what to do about it; exit code 1 when anything is wrong",
        description="What is wrong now, why, and what to do about it; the exit code is 1 when anything is wrong."
        f" {many.capitalize()} count as stuck here when they have been silent for longer than 99 of 100 took at"
        " the step, and for at least SAGA_STUCK_AFTER. At a slow step that is later than the flag STUCK, which"
        " depends on SAGA_STUCK_AFTER alone. A contradiction, an event that is not allowed and a key used twice"
        " never end: they are shown for a day after the event. Clocks that differ and events published to another"
        " service's exchange are shown for an hour. Events that were lost before this monitor read them are shown"
        " until they are acknowledged, or for SAGA_MONITOR_KEEP_DAYS. The broker counts what its queues hold; when"
        " it cannot be asked, that is an anomaly too. With --json: an array; each element has the number of"
        " anomalies that it stands for (`count`) and the number of all (`total`).",
    )
    add_saga(command, sagas)
    add_json(command)
    command.add_argument(
        "--acknowledge",
        action="store_true",
        help="acknowledge the events that were lost unread: they are not shown any more",
    )
    command.set_defaults(run=_anomalies)


def _anomalies(arguments: argparse.Namespace, context: CommandContext) -> int:
    if arguments.acknowledge:
        _acknowledge(context)
    # The broker is asked first, so that the history holds all that the queues held.
    status = asyncio.run(ask_broker(context.settings, context.sagas, say_that_it_waits))
    freshness = context.read_history()
    settings = context.settings
    with closing(Queries(settings.monitor_database, settings.stuck_after, context.sagas)) as queries:
        judgement = judge_now(queries, status, freshness, context.thresholds, arguments.saga)
    found = judgement.anomalies
    if arguments.json:
        print(
            json.dumps(
                [as_json(anomaly, context.sagas) | {"total": judgement.total} for anomaly in found], indent=2
            )
        )
    else:
        view = anomaly_view(found, context.sagas, judgement.in_time, full=context.full)
        context.console.print(view, soft_wrap=context.full)
    return 1 if found else 0


def _acknowledge(context: CommandContext) -> None:
    context.read_history()
    with (
        closing(Store(context.settings.monitor_database, context.sagas, verifier_for(context.settings))) as store,
        store.transaction() as connection,
    ):
        count = acknowledge_gaps(connection)
    noted = f"{count} acknowledged" if count else "nothing to acknowledge: no events were lost unread"
    print(f"saga_monitor: {noted}", file=sys.stderr)
