"""The command line of `./scripts/demo`. Standard library only: it runs before the virtual environment exists."""

import argparse
import sys
from collections.abc import Sequence

from scripts.cli_parser import Parser
from scripts.demonstration.keep_state import NOTHING_KEPT, read_state

_ABOUT = """\
It starts its own broker: a private node of the installed rabbitmq-server, or a container; without either, it
installs rabbitmq-server from Debian where that is allowed. With SAGA_AMQP_URL it uses that broker, whose virtual
host must be empty, and is empty again afterwards. A private node is killed and restarted while orders are
unfinished; any other broker is left alone. The run takes about a minute. On a terminal, q and Ctrl-C end it.

exit codes: 0 every order ended as expected, 1 one did not, 2 usage or configuration error, or no broker
"""
# Tells `scripts/demo` to go on with the virtual environment.
GO_ON = 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="scripts/demo",
        description="Runs the workers with orders of every kind, kills a worker and the broker, and reports.",
        epilog=_ABOUT,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave it running, with the web page")
    what.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument(
        "--orchestration", action="store_true", help="with an orchestrator that leads the services"
    )
    return parser.parse_args(arguments)


def answer(options: argparse.Namespace) -> int:
    """Answer what needs no virtual environment. Returns the exit code, or GO_ON."""
    if options.keep and read_state():
        print("A demonstration is running already: './scripts/demo --stop' ends it.", file=sys.stderr)
        return 2
    if options.stop and not read_state():
        print(NOTHING_KEPT)
        return 0
    return GO_ON


if __name__ == "__main__":
    sys.exit(answer(parse(None)))
