"""`report`: reports on all orders together, each order on a line, or one order."""

import argparse
import asyncio
import csv
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from choregraphie import UserError
from choregraphie.terminal.arguments import TIME_EXAMPLES, add_wide, moment_of
from saga_monitor.cli.context import CommandContext, add_at, positive_number
from saga_monitor.cli.orders import unknown
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.aggregates import Aggregates, aggregates_of_all, aggregates_since
from saga_monitor.projection.queries import Queries
from saga_monitor.records.broker_status import ask_broker
from saga_monitor.reports import report
from saga_monitor.reports.order_report import COLUMNS, as_given, flat, metrics, order_report, order_reports
from saga_monitor.text import report_tables
from saga_monitor.text.anomaly_list import judge_now, say_that_it_waits

# The most lines on a terminal; a program gets all of them.
_LINES = 1000


class Unused(UserError):
    """An argument that has no effect together with the others."""


def add(commands: Any) -> None:
    """Declare the verb `report` and its arguments."""
    command = commands.add_parser("report", help="outcomes and times: of all orders, of each, or of one")
    command.add_argument("commande_id", metavar="CMD", nargs="?", help="only this order")
    command.add_argument("--orders", action="store_true", help="one line per order")
    command.add_argument("--since", metavar="TIME", help=f"only orders that began since then: {TIME_EXAMPLES}")
    command.add_argument("--limit", type=positive_number, metavar="N", help=f"lines at most ({_LINES} as a table)")
    add_at(command)
    add_wide(command)
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="for a program")
    shape.add_argument("--csv", action="store_true", help="for a spreadsheet")
    command.set_defaults(run=_report)


def _report(arguments: argparse.Namespace, context: CommandContext) -> int:
    _refuse_unused(arguments)
    since = moment_of(arguments.since, context.now) if arguments.since else None
    if arguments.commande_id is None and not arguments.orders:
        return _whole(arguments, context, since)
    with context.queries() as queries:
        if arguments.orders:
            return _each(arguments, context, queries, since)
        return _one(arguments, context, queries)


def _refuse_unused(arguments: argparse.Namespace) -> None:
    """Raises Unused when an argument would have no effect."""
    given = {"--orders": arguments.orders, "--since": arguments.since, "--limit": arguments.limit}
    unused = [name for name, value in given.items() if value]
    if arguments.commande_id is not None and unused:
        raise Unused(f"a report on one order takes no {' or '.join(unused)}")
    if arguments.limit and not arguments.orders:
        raise Unused("--limit needs --orders")


def _whole(arguments: argparse.Namespace, context: CommandContext, since: dt.datetime | None) -> int:
    # Asked before the history is read, so that the history holds all that the queues held.
    status = asyncio.run(ask_broker(context.settings, say_that_it_waits)) if context.at is None else None
    with context.queries() as queries:
        figures = _figures(context, queries, since)
        # Only the present can be judged: what the queues held earlier is not known.
        known = context.freshness if context.at is None else None
        wrong = judge_now(queries, status, known, context.settings).total if known else None
    whole = report.of_aggregates(figures, wrong)
    if arguments.csv:
        _csv(({"figure": name, "value": value} for name, value in metrics(whole)), ["figure", "value"])
    else:
        context.output(whole, report_tables.whole_view(whole), for_program=arguments.json)
    return 0


def _figures(context: CommandContext, queries: Queries, since: dt.datetime | None) -> Aggregates:
    if since is None:
        return aggregates_of_all(queries, context.now)
    return aggregates_since(queries, since, context.now, context.settings.stuck_after)


def _one(arguments: argparse.Namespace, context: CommandContext, queries: Queries) -> int:
    order = queries.order(arguments.commande_id, context.now)
    if order is None:
        return unknown(arguments.commande_id, context)
    one = order_report(queries, order, because if _for_a_person(arguments) else as_given)
    if arguments.csv:
        _csv([flat(one)], COLUMNS)
    else:
        context.output(one, report_tables.one_view(one), for_program=arguments.json)
    return 0


def _each(
    arguments: argparse.Namespace, context: CommandContext, queries: Queries, since: dt.datetime | None
) -> int:
    for_program = not _for_a_person(arguments)
    limit = arguments.limit or (None if for_program else _LINES)
    reports = order_reports(queries, context.now, since, limit, as_given if for_program else because)
    if arguments.json:
        _json_lines(one | context.freshness_fields for one in reports)
    elif arguments.csv:
        _csv(map(flat, reports), COLUMNS)
    else:
        total = queries.totals(context.now).orders
        context.console.print(report_tables.each_view(list(reports), total))
    return 0


def _for_a_person(arguments: argparse.Namespace) -> bool:
    return not (arguments.json or arguments.csv)


def _json_lines(reports: Iterator[dict[str, Any]]) -> None:
    """Print one array with an order a line. A million orders are never one string in memory."""
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
