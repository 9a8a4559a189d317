"""The console command `choregraphie`: finds the application, then runs the command line on it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module, metadata

from choregraphie.cli.main import main as run_verb
from choregraphie.cli.new import new
from choregraphie.errors import UserError
from choregraphie.process.stdout_errors import prepare_standard_streams
from choregraphie.resolution import resolve
from choregraphie.terminal.arguments import Parser

COMMAND = "choregraphie"
_VERBS = """\
new NAME                           write a project of two services that is checked, tested and run as it is

verbs of an application:
  run, ready                       workers of its services; whether they hear their inboxes
  inspect, journal, outbox, relay  business state, actions carried out, events not published yet
  topology                         the broker's exchanges, queues, bindings, users: check, apply, export, users
  doctor                           what is wrong with broker, queues, databases, settings, and what to do
  dlq                              dead letters: list, show, replay, edit, hold, discard, audit
  settle                           the answer that a service owes, given by a person
  keys                             the keys of signatures: make and list them
  check, simulate                  whether the saga is sound; its services under every fault, in virtual time
  diagram, asyncapi, schemas,
  promela, generate                what follows from the declarations
  monitor                          the live console; `monitor serve` is the web page

The application is the one that --app names, else SAGA_APP, else app in [tool.choregraphie] of the nearest
pyproject.toml. `choregraphie VERB --help` explains a verb of it.
"""


def _monitor(app: str | None, arguments: Sequence[str]) -> int:
    # By name: the monitor is a package above this one.
    monitor = import_module("saga_monitor.__main__")
    return int(monitor.main([*(("--app", app) if app else ()), *arguments]))


# The verbs that find their application themselves, or need none.
OWN_VERBS: dict[str, Callable[[str | None, Sequence[str]], int]] = {
    "monitor": _monitor,
    "new": lambda app, arguments: new(arguments),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code: 0 success, 1 negative result, 2 usage or configuration error."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.help or given.version:
        parser.print_help() if given.help else print(f"{COMMAND} {_version()}")
        return 0
    if not given.verb:
        parser.error("no verb")
    verb, *rest = given.verb
    if verb in OWN_VERBS:
        return OWN_VERBS[verb](given.app, rest)
    try:
        application = replace(resolve(given.app, os.environ), command=COMMAND)
    except UserError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 2
    return run_verb(application, [verb, *rest], flat=True)


def start() -> None:
    """The entry point of the console command."""
    prepare_standard_streams()
    sys.exit(main())


def _version() -> str:
    try:
        return metadata.version(COMMAND)
    except metadata.PackageNotFoundError:
        return "(not installed: run from its sources)"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=COMMAND,
        usage=f"{COMMAND} [-h] [--version] [--app MODULE:NAME] VERB …",
        description="Check, simulate, run and watch choreographed sagas over RabbitMQ.",
        epilog=_VERBS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    parser.add_argument("--version", action="store_true", help="show the version")
    parser.add_argument("--app", metavar="MODULE:NAME", help="the application, such as services.application:APP")
    parser.add_argument("verb", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser
