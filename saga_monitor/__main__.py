"""`python -m saga_monitor`: the live monitor, and what it knows of one order, of many, of all."""

import argparse
import asyncio
import datetime as dt
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from choregraphie import Settings, UserError, read_settings
    from choregraphie.broker import open_history
    from choregraphie.logs import configure_logs
    from choregraphie.process.stdout_errors import open_missing_streams, output_lost
    from choregraphie.terminal.arguments import Parser
    from choregraphie.terminal.tables import console_of
    from saga_monitor.cli import anomalies, history, letters, orders, report, serve
    from saga_monitor.cli.context import command_context
    from saga_monitor.cli.watch import watch
    from saga_monitor.projection.older_files import set_aside_older
    from saga_monitor.text.sanitize import printable
except ModuleNotFoundError as missing:
    print(
        f"saga_monitor: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)

_EPILOG = """examples:
  python -m saga_monitor                        the live console; on a pipe, one line per change of an order
  python -m saga_monitor list --state RUNNING   the orders in that state, the last heard of first
  python -m saga_monitor show CMD-0001          one order: its steps, what remains, every event
  python -m saga_monitor show CMD-0001 --at 10m the same, as it stood ten minutes ago
  python -m saga_monitor report --json          all orders together, for a program
  python -m saga_monitor report --orders --csv  each order, for a spreadsheet
  python -m saga_monitor history --follow       the events as they are said
  python -m saga_monitor anomalies              what is wrong, why, and what to do about it
  python -m saga_monitor letter 1207            a dead letter: its bytes, why it was set aside, what to do
  python -m saga_monitor serve                  the web page, at http://127.0.0.1:8787/

The monitor is passive: it reads the stream saga.history and publishes nothing. What it knows is kept in the
file that SAGA_MONITOR_DATABASE names (var/monitor.sqlite3); delete it, and the stream rebuilds it.
SAGA_AMQP_URL names the broker, SAGA_STUCK_AFTER the seconds of silence after which an order is STUCK (what is
wrong gives a slow step the time that it takes, up to ten times as long: `anomalies --help`),
SAGA_MONITOR_KEEP_DAYS the days that an order is remembered after its end. Times are in UTC.

exit codes: 0 all well; 1 no such order, something is wrong, or the answer may be old (the broker is away: its rows
are shown all the same, with their age); 2 something must be changed (said in one line)
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
    except OSError as error:
        return output_lost("saga_monitor", error)


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    opening = functools.partial(open_history, settings)
    console = console_of(wide=getattr(arguments, "wide", False))
    configure_logs(settings)
    # `history` reads the stream alone.
    if arguments.command != "history" and (notice := set_aside_older(settings.monitor_database)):
        print(f"saga_monitor: {printable(notice)}", file=sys.stderr, flush=True)
    if arguments.command is None:
        asyncio.run(watch(opening, settings, console, arguments.caption_file))
        return 0
    if arguments.command == "serve":
        asyncio.run(serve.serve(opening, serve.with_arguments(settings, arguments)))
        return 0
    context = command_context(arguments, settings, opening, console, dt.datetime.now(dt.UTC))
    return context.exit_code(int(arguments.run(arguments, context)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m saga_monitor",
        description="Watch every order of the saga from the outside. Without a command: the live console.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--caption-file",
        type=Path,
        metavar="FILE",
        help="the live console shows the text of this file on its first lines",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for verb in VERBS.values():
        verb.add(commands)
    return parser


# Each module declares its verb in `add`, and names the function that runs it.
VERBS = {
    "list|show": orders,
    "report": report,
    "history": history,
    "anomalies": anomalies,
    "letter": letters,
    "serve": serve,
}


if __name__ == "__main__":
    open_missing_streams()
    sys.exit(main())
