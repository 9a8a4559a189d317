"""`python -m saga_monitor`: the live monitor, and what it knows of one saga instance, of many, of all."""

import argparse
import asyncio
import datetime as dt
import functools
import gc
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

gc.disable()  # nothing that is imported becomes garbage; looking for it takes a third of the start
try:
    from choregraphie.plain_structlog import import_structlog

    import_structlog()
    from choregraphie import Settings, UserError
    from choregraphie.application import Application
    from choregraphie.broker import open_history
    from choregraphie.extras import needing
    from choregraphie.logs import configure_logs
    from choregraphie.printable import printable
    from choregraphie.process.stdout_errors import output_lost, prepare_standard_streams
    from choregraphie.resolution import resolve
    from choregraphie.saga.saga_set import SagaSet
    from choregraphie.terminal.arguments import Parser
    from choregraphie.terminal.tables import console_of
    from saga_monitor.cli.context import command_context
    from saga_monitor.projection.older_files import set_aside_older
except ModuleNotFoundError as missing:
    print(
        f"saga_monitor: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)
gc.freeze()  # later collections do not look through it either
gc.enable()

_EPILOG = """examples:
  python -m saga_monitor                        the live console; on a pipe, one line per change of an instance
  python -m saga_monitor list --state RUNNING   the {many} in that state, the last heard of first
  python -m saga_monitor show KEY               one {one}: its steps, what remains, every event
  python -m saga_monitor show KEY --at 10m      the same, as it stood ten minutes ago
  python -m saga_monitor report --json          all {many} together, for a program
  python -m saga_monitor report --each --csv    each {one}, for a spreadsheet
  python -m saga_monitor history --follow       the events as they are said
  python -m saga_monitor anomalies              what is wrong, why, and what to do about it
  python -m saga_monitor letter 1207            a dead letter: its bytes, why it was set aside, what to do
  python -m saga_monitor serve                  the web page, at http://127.0.0.1:8787/

The monitor is passive: it reads the stream saga.history and publishes nothing. What it knows is kept in the
file that SAGA_MONITOR_DATABASE names (var/monitor.sqlite3); delete it, and the stream rebuilds it.
SAGA_AMQP_URL names the broker, SAGA_STUCK_AFTER the seconds of silence after which an instance is STUCK (what is
wrong gives a slow step the time that it takes, up to ten times as long: `anomalies --help`),
SAGA_MONITOR_KEEP_DAYS the days that an instance is remembered after its end. Times are in UTC. The application is
the one that --app names, else SAGA_APP, else app in [tool.choregraphie] of pyproject.toml.

exit codes: 0 all well; 1 no such {one}, something is wrong, or the answer may be old (the broker is away: its rows
are shown all the same, with their age); 2 something must be changed (said in one line)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on the application that it names; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        application = resolve(_before_options(arguments)[0], os.environ)
    except UserError as error:
        if {"-h", "--help"}.intersection(arguments):
            _parser(SagaSet(())).parse_args(arguments)
        return _refused(error)
    return main_for(application, arguments)


def main_for(application: Application, argv: Sequence[str]) -> int:
    """Run the command line on `application`; returns its exit code."""
    arguments = _parser(application.saga_set, _before_options(argv)[1]).parse_args(argv)
    try:
        code = _run(application, arguments, application.read_settings(os.environ))
        sys.stdout.flush()
        return code
    except UserError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 0 if arguments.command is None else 130
    except OSError as error:
        return output_lost("saga_monitor", error)


def _refused(error: UserError) -> int:
    print(f"saga_monitor: {printable(str(error))}", file=sys.stderr)
    return 2


def _before_options(arguments: Iterable[str]) -> tuple[str | None, str]:
    """The value of `--app` before the verb, and the verb: the other arguments depend on both."""
    words, app = iter(arguments), None
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--app":
            app = value if equals else next(words, None)
        elif not word.startswith("-"):
            return app, word
        elif name == "--caption-file" and not equals:
            next(words, None)
    return app, ""


def _run(application: Application, arguments: argparse.Namespace, settings: Settings) -> int:
    opening = functools.partial(open_history, settings)
    console = console_of(wide=getattr(arguments, "wide", False))
    configure_logs(settings)
    # `history` reads the stream alone.
    if arguments.command != "history" and (notice := set_aside_older(settings.monitor_database)):
        print(f"saga_monitor: {printable(notice)}", file=sys.stderr, flush=True)
    if arguments.command is None:
        from saga_monitor.cli.watch import watch

        asyncio.run(watch(application, opening, settings, console, arguments.caption_file))
        return 0
    if arguments.command == "serve":
        from saga_monitor.cli import serve_options

        with needing("web"):
            from saga_monitor.cli.serve import serve
        asyncio.run(serve(application, opening, serve_options.with_arguments(settings, arguments)))
        return 0
    context = command_context(arguments, application, settings, opening, console, dt.datetime.now(dt.UTC))
    return context.exit_code(int(arguments.run(arguments, context)))


def _parser(sagas: SagaSet, verb: str = "") -> argparse.ArgumentParser:
    """The parser of `verb`; of all verbs when there is none of that name, to list them."""
    one, many = sagas.noun
    parser = Parser(
        prog="python -m saga_monitor",
        description=f"Watch all {many} from the outside. Without a command: the live console.",
        epilog=_EPILOG.format(one=one, many=many),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An abbreviation of --app would be accepted here, and not be seen by `_before_options`.
        allow_abbrev=False,
    )
    parser.add_argument("--app", metavar="MODULE:NAME", help="the application, such as services.application:APP")
    parser.add_argument(
        "--caption-file",
        type=Path,
        metavar="FILE",
        help="the live console shows the text of this file on its first lines",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for module in [VERBS[verb]] if verb in VERBS else dict.fromkeys(VERBS.values()):
        import_module(f"saga_monitor.cli.{module}").add(commands, sagas)
    return parser


# The module of each verb declares it in `add`, and names the function that runs it. A verb imports its own alone.
VERBS = {
    "list": "instances",
    "show": "instances",
    "report": "report",
    "history": "history",
    "anomalies": "anomalies",
    "letter": "letters",
    "serve": "serve_options",
}


if __name__ == "__main__":
    prepare_standard_streams()
    sys.exit(main())
