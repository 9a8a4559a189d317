"""`list` and `show`: lists orders; shows one order with all its events."""

import argparse
import sys
from typing import Any

from choregraphie.terminal.arguments import add_json, add_wide
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.cli.context import CommandContext, add_at, positive_number, search_text
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.queries import Order, Queries
from saga_monitor.projection.search import OrderFilter
from saga_monitor.projection.unknown_events import unknown_events_of
from saga_monitor.reports import report
from saga_monitor.text import tables
from saga_monitor.text.dead_letters import mentions_json, mentions_view
from saga_monitor.text.sanitize import printable

_SEARCH = (
    f"only orders that match TEXT: any part of the id or of {', '.join(CHOREOGRAPHY.searched)}, in any case; or"
    " the day on which they began: 2026-11-28, today, yesterday. The last to begin comes first. With --at, later"
    " events of an order match as well"
)


def add(commands: Any) -> None:
    """Declare the verbs `list` and `show` and their arguments."""
    listing = commands.add_parser("list", help="orders, those with the newest events first")
    listing.add_argument(
        "--state",
        type=str.upper,
        choices=[str(name) for name in (*State, *Flag)],
        metavar="S",
        help=f"only in this state ({', '.join(State)}), or so flagged ({', '.join(Flag)})",
    )
    listing.add_argument("--search", type=search_text, metavar="TEXT", help=_SEARCH)
    listing.add_argument("--limit", type=positive_number, default=50, metavar="N", help="at most N (50)")
    listing.set_defaults(run=_list)
    showing = commands.add_parser("show", help="one order: steps, what remains, events")
    showing.add_argument("commande_id", metavar="CMD", help="the order's id")
    showing.set_defaults(run=_show)
    for command in (listing, showing):
        add_at(command)
        add_json(command)
        add_wide(command)


def _list(arguments: argparse.Namespace, context: CommandContext) -> int:
    with context.queries() as queries:
        orders = _wanted(queries, arguments, context)
        totals = queries.totals(context.now)
    found = [report.summary(order) for order in orders]
    context.output(
        found, tables.orders_table(found, totals, context.now, full=context.full), for_program=arguments.json
    )
    return 0


def _wanted(queries: Queries, arguments: argparse.Namespace, context: CommandContext) -> list[Order]:
    state, limit = arguments.state, arguments.limit
    if arguments.search:
        flag = Flag(state) if state in list(Flag) else None
        only = OrderFilter(State(state) if state and not flag else None, flag)
        return queries.search(arguments.search, only, limit, context.now)
    if state in list(Flag):
        return queries.flagged(Flag(state), limit, context.now)
    return queries.orders(State(state) if state else None, limit, context.now)


def _show(arguments: argparse.Namespace, context: CommandContext) -> int:
    id_ = arguments.commande_id
    with context.queries() as queries:
        order = queries.order(id_, context.now)
        if order is None:
            return _show_mentions(queries, arguments, context)
        _warn_of_missing_events(queries, order, context)
        never_begun = report.without_beginning(order, context.now, context.settings.deadline)
        shown = report.detail(
            order, queries.events(id_), queries.dead_letters(id_), unknown_events_of(queries, id_), never_begun
        )
    context.output(shown, tables.order_view(shown, full=context.full), for_program=arguments.json)
    return 0


def _show_mentions(queries: Queries, arguments: argparse.Namespace, context: CommandContext) -> int:
    """Say that there is no such order, and show what mentions its id; returns the exit code."""
    found = mentions(queries, arguments.commande_id)
    if found:
        shown = mentions_json(arguments.commande_id, found)
        context.output(shown, mentions_view(arguments.commande_id, found), for_program=arguments.json)
    return unknown(arguments.commande_id, context)


def _warn_of_missing_events(queries: Queries, order: Order, context: CommandContext) -> None:
    """Say how many of the order's events the stream no longer holds: their raw form cannot be read again."""
    begins = context.history_begins_at or 0
    gone = sum(event.offset < begins for event in queries.events(order.commande_id))
    if gone:
        what = "its events are" if order.last_offset < begins else f"{gone} of its events are"
        text = f"{printable(order.commande_id)}: {what} no longer in the history"
        print(f"saga_monitor: {text}; this is what the monitor has read of them", file=sys.stderr)


def unknown(id_: str, context: CommandContext) -> int:
    """Say that there is no such order, or that this is not known; returns the exit code."""
    then = f" up to {report.rfc3339(context.at)}" if context.at else ""
    if context.freshness and not context.freshness.fresh:
        then = " as far as it was read: it may be beyond"
    elif context.gaps:
        then = f"{then}: it may be among what was lost unread, see `python -m saga_monitor anomalies`"
    print(f"saga_monitor: no order {printable(id_)} in the history{then}", file=sys.stderr)
    return 1
