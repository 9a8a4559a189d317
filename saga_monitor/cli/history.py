"""`history`: prints the events as they were published."""

import argparse
import asyncio
import json
import sys
from contextlib import aclosing
from difflib import get_close_matches
from typing import Any

from choregraphie import BrokerUnavailable, HistoryMissing
from choregraphie.printable import printable
from choregraphie.saga.saga_set import SagaSet
from choregraphie.signing import verifier_for
from choregraphie.terminal.arguments import TIME_EXAMPLES, add_json, key_text, moment_of
from saga_monitor.cli.context import CommandContext, add_saga
from saga_monitor.stream.history_reader import Wanted, wanted_entries
from saga_monitor.text.history_listing import as_json, as_line, as_paragraph

# Names of options that a key cannot have too.
_TAKEN = {"--type", "--since", "--all", "--follow", "--json", "--saga", "--help"}


def add(commands: Any, sagas: SagaSet) -> None:
    """Declare the verb `history` and its arguments."""
    command = commands.add_parser("history", help="the events as they were published, from the stream itself")
    types = ", ".join(sagas.event_types)
    command.add_argument("--type", metavar="T", help=f"only this type: {types}, or an unknown one")
    # The key's own name too: `--commande` for `commande_id`.
    named = [f"--{key.removesuffix('_id').replace('_', '-')}" for key in sagas.keys]
    names = [name for name in dict.fromkeys(("--key", *named)) if name not in _TAKEN]
    command.add_argument(*names, dest="key", type=key_text, metavar="KEY", help=f"only of this {sagas.noun[0]}")
    add_saga(command, sagas)
    command.add_argument("--since", metavar="TIME", help=f"only since then: {TIME_EXAMPLES}")
    command.add_argument("--all", action="store_true", help="also retries, dead letters and unreadable entries")
    command.add_argument("--follow", action="store_true", help="go on with new events as they are published")
    add_json(command)
    command.set_defaults(run=_history)


def _history(arguments: argparse.Namespace, context: CommandContext) -> int:
    since = moment_of(arguments.since, context.now) if arguments.since is not None else None
    wanted = Wanted(arguments.type, arguments.saga, arguments.key, since, arguments.all)
    types = list(context.sagas.event_types)
    if arguments.type is not None and arguments.type not in types:
        close = "".join(f"; {known} is" for known in get_close_matches(arguments.type, types, 1))
        print(f"saga_monitor: {printable(arguments.type)} is not in the choreography{close}", file=sys.stderr)
    try:
        printed = asyncio.run(_print(arguments, context, wanted))
    except BrokerUnavailable as unavailable:
        # Exit code 1, as in every other command: the command and its settings need no change.
        what = "" if isinstance(unavailable, HistoryMissing) else "broker away: "
        print(f"saga_monitor: {what}{printable(str(unavailable))}", file=sys.stderr)
        return 1
    if arguments.key and not printed:
        noun = context.sagas.noun[0]
        print(f"saga_monitor: no such event of {noun} {printable(arguments.key)} in the history", file=sys.stderr)
        return 1
    return 0


async def _print(arguments: argparse.Namespace, context: CommandContext, wanted: Wanted) -> int:
    """Print the entries; returns how many there were."""
    printed = 0
    async with (
        context.open_history() as history,
        aclosing(
            wanted_entries(
                history,
                context.sagas,
                wanted,
                follow=arguments.follow,
                now=context.now,
                verifier=verifier_for(context.settings),
            )
        ) as entries,
    ):
        async for entry, record in entries:
            printed += 1
            if arguments.json:
                print(json.dumps(as_json(entry, record)), flush=arguments.follow)
            else:
                show = as_line if context.full else as_paragraph
                shown = show(entry, record, context.sagas)
                context.console.print(shown, soft_wrap=context.full)
    return printed
