"""`report`: reports on all instances together, each instance on a line, or one instance."""

import argparse
import asyncio
import csv
import datetime as dt
import functools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from choregraphie import UserError
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.arguments import TIME_EXAMPLES, add_wide, key_text, moment_of
from saga_monitor.cli.context import CommandContext, add_at, add_saga, positive_number
from saga_monitor.cli.instances import requested, unknown
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.aggregates import aggregates_of_all, aggregates_since
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import ask_broker
from saga_monitor.reports import report
from saga_monitor.reports.instance_report import (
    as_given,
    columns,
    flat,
    instance_report,
    instance_reports,
    metrics,
)
from saga_monitor.text import report_tables
from saga_monitor.text.anomaly_list import judge_now, say_that_it_waits

# The most lines on a terminal; a program gets all of them.
_LINES = 1000


class Unused(UserError):
    """An argument that has no effect together with the others."""


def add(commands: Any, sagas: SagaSet) -> None:
    """Declare the verb `report` and its arguments."""
    one, many = sagas.noun
    command = commands.add_parser("report", help=f"outcomes and times: of all {many}, of each, or of one")
    command.add_argument("key", type=key_text, metavar="KEY", nargs="?", help=f"only this {one}")
    # The noun too, where it is one: `--orders`.
    names = dict.fromkeys(["--each", f"--{_plural(sagas)}"])
    command.add_argument(*names, dest="each", action="store_true", help=f"one line per {one}")
    command.add_argument("--since", metavar="TIME", help=f"only {many} that began since then: {TIME_EXAMPLES}")
    command.add_argument("--limit", type=positive_number, metavar="N", help=f"lines at most ({_LINES} as a table)")
    add_saga(command, sagas)
    add_at(command)
    add_wide(command)
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="for a program")
    shape.add_argument("--csv", action="store_true", help="for a spreadsheet")
    command.set_defaults(run=_report)


def _plural(sagas: SagaSet) -> str:
    return sagas.noun[1].replace(" ", "-")


def _report(arguments: argparse.Namespace, context: CommandContext) -> int:
    _refuse_unused(arguments, context.sagas)
    since = moment_of(arguments.since, context.now) if arguments.since is not None else None
    if arguments.key is None and not arguments.each:
        return _whole(arguments, context, since)
    with context.queries() as queries:
        if arguments.each:
            return _each(arguments, context, queries, since)
        return _one(arguments, context, queries)


def _refuse_unused(arguments: argparse.Namespace, sagas: SagaSet) -> None:
    """Raises Unused when an argument would have no effect."""
    each = f"--{_plural(sagas)}"
    given = {each: arguments.each, "--since": arguments.since, "--limit": arguments.limit}
    unused = [name for name, value in given.items() if value]
    if arguments.key is not None and unused:
        raise Unused(f"a report on one {sagas.noun[0]} takes no {' or '.join(unused)}")
    if arguments.limit and not arguments.each:
        raise Unused(f"--limit needs {each}")


def _whole(arguments: argparse.Namespace, context: CommandContext, since: dt.datetime | None) -> int:
    settings, saga = context.settings, arguments.saga
    # Asked before the history is read, so that the history holds all that the queues held.
    status = asyncio.run(ask_broker(settings, context.sagas, say_that_it_waits)) if context.at is None else None
    with context.queries() as queries:
        figures = functools.partial(aggregates_of_all, queries, context.now)
        if since is not None:
            figures = functools.partial(aggregates_since, queries, since, context.now, settings.stuck_after)
        # Only the present can be judged: what the queues held earlier is not known.
        known = context.freshness if context.at is None else None
        wrong = judge_now(queries, status, known, context.thresholds).anomalies if known else None
        whole = report.whole(context.sagas, figures, wrong, saga)
    if arguments.csv:
        _csv(({"figure": name, "value": value} for name, value in metrics(whole)), ["figure", "value"])
    else:
        view = report_tables.whole_view(whole, context.sagas.only(saga))
        context.output(whole, view, for_program=arguments.json)
    return 0


def _one(arguments: argparse.Namespace, context: CommandContext, queries: Queries) -> int:
    summary = requested(queries, arguments, context)
    if summary is None:
        return unknown(arguments, context)
    one = instance_report(queries, summary, because if _for_a_person(arguments) else as_given)
    shown = context.sagas.only(summary.saga)
    if arguments.csv:
        _csv([flat(one, shown)], columns(shown))
    else:
        context.output(one, report_tables.one_view(one, context.sagas), for_program=arguments.json)
    return 0


def _each(
    arguments: argparse.Namespace, context: CommandContext, queries: Queries, since: dt.datetime | None
) -> int:
    for_program, saga = not _for_a_person(arguments), arguments.saga
    shown = context.sagas.only(saga)
    limit = arguments.limit or (None if for_program else _LINES)
    why = as_given if for_program else because
    reports = instance_reports(queries, context.now, since, limit, why, saga)
    if arguments.json:
        _json_lines(one | context.freshness_fields for one in reports)
    elif arguments.csv:
        _csv((flat(one, shown) for one in reports), columns(shown))
    else:
        total = queries.totals(context.now, saga=saga).instances
        context.console.print(report_tables.each_view(list(reports), total, shown))
    return 0


def _for_a_person(arguments: argparse.Namespace) -> bool:
    return not (arguments.json or arguments.csv)


def _json_lines(reports: Iterator[dict[str, Any]]) -> None:
    """Print one array with an instance a line. A million instances are never one string in memory."""
    separator = "[\n"
    for one in reports:
        sys.stdout.write(separator + json.dumps(one))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    # Text from events must not become a formula in a spreadsheet.
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
