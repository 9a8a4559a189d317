"""`list` and `show`: lists instances; shows one instance with all its events."""

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from typing import Any

from choregraphie import UserError
from choregraphie.printable import printable
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.arguments import add_json, add_wide, key_text
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.cli.context import CommandContext, add_at, add_saga, positive_number, search_text
from saga_monitor.diagnosis.anomalies import Kind, anomalies_of_instance
from saga_monitor.diagnosis.causes import hold_sentence
from saga_monitor.projection.dead_letters import mentions
from saga_monitor.projection.queries import Queries, SagaSummary
from saga_monitor.projection.search import InstanceFilter
from saga_monitor.projection.unknown_events import unknown_events_of
from saga_monitor.reports import report
from saga_monitor.text import tables
from saga_monitor.text.dead_letters import mentions_json, mentions_view


class Ambiguous(UserError):
    """A key that several sagas have."""


def add(commands: Any, sagas: SagaSet) -> None:
    """Declare the verbs `list` and `show` and their arguments."""
    one, many = sagas.noun
    listing = commands.add_parser("list", help=f"{many}, those with the newest events first")
    listing.add_argument(
        "--state",
        type=str.upper,
        choices=[str(name) for name in (*State, *Flag)],
        metavar="S",
        help=f"only in this state ({', '.join(State)}), or so flagged ({', '.join(Flag)})",
    )
    listing.add_argument("--search", type=search_text, metavar="TEXT", help=_search_help(sagas))
    listing.add_argument("--limit", type=positive_number, default=50, metavar="N", help="at most N (50)")
    listing.set_defaults(run=_list)
    showing = commands.add_parser("show", help=f"one {one}: steps, what remains, events")
    showing.add_argument("key", type=key_text, metavar="KEY", help=f"the {one}'s key ({', '.join(sagas.keys)})")
    showing.set_defaults(run=_show)
    for command in (listing, showing):
        add_saga(command, sagas)
        add_at(command)
        add_json(command)
        add_wide(command)


def _search_help(sagas: SagaSet) -> str:
    one, many = sagas.noun
    searched = ", ".join(dict.fromkeys(name for saga in sagas for name in saga.searched))
    return (
        f"only {many} that match TEXT: any part of the key{f' or of {searched}' if searched else ''}, in any case;"
        " or the day on which they began: 2026-11-28, today, yesterday. The last to begin comes first. With --at,"
        f" later events of the same {one} match as well"
    )


def _list(arguments: argparse.Namespace, context: CommandContext) -> int:
    shown = context.sagas.only(arguments.saga)
    with context.queries() as queries:
        instances = _wanted(queries, arguments, context)
        _say_why_held(queries, instances, context.now)
        _say_why_in_review(queries, instances, context)
        totals = queries.totals(context.now, saga=arguments.saga)
    found = [report.summary(instance, context.sagas) for instance in instances]
    view = tables.instances_table(found, totals, context.now, shown, full=context.full)
    context.output(found, view, for_program=arguments.json)
    return 0


def _wanted(queries: Queries, arguments: argparse.Namespace, context: CommandContext) -> list[SagaSummary]:
    state, limit, saga = arguments.state, arguments.limit, arguments.saga
    if arguments.search:
        flag = Flag(state) if state in list(Flag) else None
        only = InstanceFilter(State(state) if state and not flag else None, flag, saga=saga)
        return queries.search(arguments.search, only, limit, context.now)
    if state in list(Flag):
        return queries.flagged(Flag(state), limit, context.now, saga)
    return queries.instances(State(state) if state else None, limit, context.now, saga)


def _show(arguments: argparse.Namespace, context: CommandContext) -> int:
    with context.queries() as queries:
        summary = requested(queries, arguments, context)
        if summary is None:
            return _show_mentions(queries, arguments, context)
        _warn_of_missing_events(queries, summary, context)
        _say_why_held(queries, [summary], context.now)
        _say_why_in_review(queries, [summary], context)
        instance, choreography = summary.instance, context.sagas.by_name[summary.saga]
        never_begun = report.without_beginning(summary, choreography, context.now, context.settings.deadline)
        events, letters = queries.events(instance), queries.dead_letters(instance)
        unknown_events = unknown_events_of(queries, instance.key, instance.saga)
        shown = report.detail(summary, context.sagas, events, letters, unknown_events, never_begun)
    view = tables.instance_view(shown, context.sagas, full=context.full)
    context.output(shown, view, for_program=arguments.json)
    return 0


def requested(queries: Queries, arguments: argparse.Namespace, context: CommandContext) -> SagaSummary | None:
    """The instance that the arguments name; None when there is none. Raises Ambiguous."""
    found = [
        one for one in queries.instances_with(arguments.key, context.now) if arguments.saga in {None, one.saga}
    ]
    if len(found) > 1:
        names = " or --saga ".join(one.saga for one in found)
        raise Ambiguous(f"several sagas have the key {arguments.key}: choose one with --saga {names}")
    return found[0] if found else None


def _show_mentions(queries: Queries, arguments: argparse.Namespace, context: CommandContext) -> int:
    """Say that there is no such instance, and show what mentions its key; returns the exit code."""
    saga, key = arguments.saga, arguments.key
    found = mentions(queries, key, saga)
    if found:
        shown = mentions_json(context.sagas, saga, key, found)
        context.output(shown, mentions_view(context.sagas, saga, key, found), for_program=arguments.json)
    return unknown(arguments, context)


def _warn_of_missing_events(queries: Queries, summary: SagaSummary, context: CommandContext) -> None:
    """Say how many of the instance's events the stream no longer holds: their raw form cannot be read again."""
    begins = context.history_begins_at or 0
    gone = sum(event.offset < begins for event in queries.events(summary.instance))
    if gone:
        what = "its events are" if summary.last_offset < begins else f"{gone} of its events are"
        text = f"{printable(summary.key)}: {what} no longer in the history"
        print(f"saga_monitor: {text}; this is what the monitor has read of them", file=sys.stderr)


def _say_why_held(queries: Queries, shown: Sequence[SagaSummary], now: dt.datetime) -> None:
    """Say which outside systems are down, when what is shown waits for one."""
    if any(Flag.HELD in one.flags for one in shown):
        for hold in queries.holds(now):
            print(f"saga_monitor: {printable(hold_sentence(hold))}", file=sys.stderr)


def _say_why_in_review(queries: Queries, shown: Sequence[SagaSummary], context: CommandContext) -> None:
    """Say what an orchestrator asks a person for, and what to type."""
    for one in (one for one in shown if Flag.INTERVENTION in one.flags):
        for anomaly in anomalies_of_instance(queries, one.instance, None, context.now, context.thresholds):
            if anomaly.kind is Kind.REVIEW:
                print(f"saga_monitor: {printable(anomaly.sentence)}", file=sys.stderr)


def unknown(arguments: argparse.Namespace, context: CommandContext) -> int:
    """Say that there is no such instance, or that this is not known; returns the exit code."""
    then = f" up to {report.rfc3339(context.at)}" if context.at else ""
    if context.freshness and not context.freshness.fresh:
        then = " as far as it was read: it may be beyond"
    elif context.gaps:
        then = f"{then}: it may be among what was lost unread, see `python -m saga_monitor anomalies`"
    what = f"{context.sagas.noun_of(arguments.saga)[0]} {printable(arguments.key)}"
    print(f"saga_monitor: no {what} in the history{then}", file=sys.stderr)
    return 1
