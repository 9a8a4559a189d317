"""`python -m saga_monitor`: the live monitor, and what it knows of one order, of many, of all."""

import argparse
import asyncio
import datetime as dt
import functools
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType

from saga_monitor import report, tables
from saga_monitor.history import Opening, catch_up
from saga_monitor.live import watch
from saga_monitor.printable import printable
from saga_monitor.progress import Flag, State
from saga_monitor.queries import Order, Queries
from saga_monitor.store import Store
from services.runtime import Settings, UserError, configure_logs, open_history, read_settings, wanted_topology

CATCH_UP_SECONDS = 15.0
# Off a terminal nothing need be cut: whoever reads the lines may want to search them.
_PIPE_WIDTH = 250

_EPILOG = """examples:
  python -m saga_monitor                        the live console; on a pipe, one line per change of an order
  python -m saga_monitor list --state RUNNING   the orders in that state, the last heard of first
  python -m saga_monitor show CMD-0001          one order: its steps, what remains, every event
  python -m saga_monitor report --json          all orders together, for a program

The monitor is passive: it reads the stream saga.history and publishes nothing. What it knows is kept in the
file that SAGA_MONITOR_DATABASE names (var/monitor.sqlite3); delete it, and the stream rebuilds it.
SAGA_AMQP_URL names the broker, SAGA_STUCK_AFTER the seconds of silence after which an order is STUCK.

exit codes: 0 all well, 1 no such order, 2 something must be changed (said in one line)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # An id may hold what the terminal's encoding lacks.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments, read_settings(os.environ))
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"saga_monitor: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0 if arguments.command is None else 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    opening = functools.partial(open_history, settings, wanted_topology(settings))
    console = _console()
    configure_logs(settings)
    if arguments.command is None:
        asyncio.run(watch(opening, settings.monitor_database, settings.stuck_after, console))
        return 0
    _up_to_date(opening, settings)
    queries = Queries(settings.monitor_database, settings.stuck_after)
    try:
        return int(arguments.run(arguments, queries, console))
    finally:
        queries.close()


def _up_to_date(opening: Opening, settings: Settings) -> None:
    store = Store(settings.monitor_database)
    try:
        for notice in asyncio.run(catch_up(opening, store, CATCH_UP_SECONDS)):
            print(f"saga_monitor: {printable(notice)}", file=sys.stderr)
    finally:
        store.close()


def _list(arguments: argparse.Namespace, queries: Queries, console: Console) -> int:
    now, limit = _now(), arguments.limit
    orders = _wanted(queries, arguments.state, limit, now)
    found = [report.summary(order) for order in orders]
    _say(found, tables.orders_table(found, queries.totals(now).orders), arguments.json, console)
    return 0


def _wanted(queries: Queries, state: str | None, limit: int, now: dt.datetime) -> list[Order]:
    if state in list(Flag):
        return queries.flagged(Flag(state), limit, now)
    return queries.orders(State(state) if state else None, limit, now)


def _show(arguments: argparse.Namespace, queries: Queries, console: Console) -> int:
    id_ = arguments.commande_id
    order = queries.order(id_, _now())
    if order is None:
        print(f"saga_monitor: no order {printable(id_)} in the history", file=sys.stderr)
        return 1
    shown = report.detail(order, queries.events(id_), queries.dead_letters(id_))
    _say(shown, tables.order_view(shown), arguments.json, console)
    return 0


def _report(arguments: argparse.Namespace, queries: Queries, console: Console) -> int:
    whole = report.whole(queries, _now())
    _say(whole, tables.report_view(whole), arguments.json, console)
    return 0


def _say(value: Any, view: RenderableType, as_json: bool, console: Console) -> None:
    if as_json:
        print(json.dumps(value, indent=2))
    else:
        console.print(view)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m saga_monitor",
        description="Watch every order of the saga from the outside. Without a command: the live console.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="list|show|report")
    listing = commands.add_parser("list", help="orders, the last heard of first")
    listing.add_argument(
        "--state",
        type=str.upper,
        choices=[str(name) for name in (*State, *Flag)],
        metavar="S",
        help="only in this state, or so flagged",
    )
    listing.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most N (50)")
    listing.set_defaults(run=_list)
    showing = commands.add_parser("show", help="one order: steps, what remains, events")
    showing.add_argument("commande_id", metavar="CMD", help="the order's id")
    showing.set_defaults(run=_show)
    reporting = commands.add_parser("report", help="all orders together: outcomes and times")
    reporting.set_defaults(run=_report)
    for command in (listing, showing, reporting):
        command.add_argument("--json", action="store_true", help="for a program")
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= 10_000_000:
        raise argparse.ArgumentTypeError("expected a whole number from 1 to 10000000")
    return int(text)


def _console() -> Console:
    terminal = sys.stdout.isatty()
    return Console(width=None if terminal else _PIPE_WIDTH, highlight=False, emoji=False)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


if __name__ == "__main__":
    sys.exit(main())
