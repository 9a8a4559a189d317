"""`history`: prints the events as they were published."""

import argparse
import asyncio
import json
import sys
from contextlib import aclosing
from difflib import get_close_matches
from typing import Any

from choregraphie import BrokerUnavailable, HistoryMissing
from choregraphie.terminal.arguments import TIME_EXAMPLES, add_json, moment_of
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.cli.context import CommandContext
from saga_monitor.stream.history_reader import Wanted, wanted_entries
from saga_monitor.text.history_listing import as_json, as_line, as_paragraph
from saga_monitor.text.sanitize import printable

_TYPES = list(CHOREOGRAPHY.event_types)


def add(commands: Any) -> None:
    """Declare the verb `history` and its arguments."""
    command = commands.add_parser("history", help="the events as they were published, from the stream itself")
    command.add_argument("--type", metavar="T", help=f"only this type: {', '.join(_TYPES)}, or an unknown one")
    command.add_argument("--commande", metavar="CMD", help="only of this order")
    command.add_argument("--since", metavar="TIME", help=f"only since then: {TIME_EXAMPLES}")
    command.add_argument("--all", action="store_true", help="also retries, dead letters and unreadable entries")
    command.add_argument("--follow", action="store_true", help="go on with new events as they are published")
    add_json(command)
    command.set_defaults(run=_history)


def _history(arguments: argparse.Namespace, context: CommandContext) -> int:
    since = moment_of(arguments.since, context.now) if arguments.since else None
    wanted = Wanted(arguments.type, arguments.commande, since, arguments.all)
    if arguments.type and arguments.type not in _TYPES:
        close = "".join(f"; {known} is" for known in get_close_matches(arguments.type, _TYPES, 1))
        print(f"saga_monitor: {printable(arguments.type)} is not in the choreography{close}", file=sys.stderr)
    try:
        asyncio.run(_print(arguments, context, wanted))
    except BrokerUnavailable as unavailable:
        # Exit code 1, as in every other command: the command and its settings need no change.
        what = "" if isinstance(unavailable, HistoryMissing) else "broker away: "
        print(f"saga_monitor: {what}{printable(str(unavailable))}", file=sys.stderr)
        return 1
    return 0


async def _print(arguments: argparse.Namespace, context: CommandContext, wanted: Wanted) -> None:
    async with (
        context.open_history() as history,
        aclosing(wanted_entries(history, wanted, follow=arguments.follow, now=context.now)) as entries,
    ):
        async for entry, record in entries:
            if arguments.json:
                print(json.dumps(as_json(entry, record)), flush=arguments.follow)
            else:
                shown = as_line(entry, record) if context.full else as_paragraph(entry, record)
                context.console.print(shown, soft_wrap=context.full)
