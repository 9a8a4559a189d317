"""What can be asked of `./scripts/demo`. Standard library only: it runs before anything is made or installed."""

import argparse
import sys
from collections.abc import Sequence

from scripts.cli_parser import Parser
from scripts.demonstration.keep_state import NOTHING_KEPT, kept

_ABOUT = """\
It makes a broker for itself: a private node of the installed rabbitmq-server, or a container; without either,
rabbitmq-server is installed from Debian where that is allowed. With SAGA_AMQP_URL it uses that one; its virtual
host must be empty, and is empty again afterwards. A private node is killed and started again with orders under
way; another broker is left alone. It takes less than a minute. On a terminal, q and Ctrl-C end it.

exit codes: 0 every order ended as it should, 1 one did not, 2 something must be changed (no broker to be had)
"""
# Tells `scripts/demo` that there is more to do than this module can.
GO_ON = 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="scripts/demo",
        description="Four workers, a broker, orders of every kind, a worker and the broker killed, a report.",
        epilog=_ABOUT,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave it up, with the web page")
    what.add_argument("--stop", action="store_true", help="end what --keep left up")
    return parser.parse_args(arguments)


def answer(options: argparse.Namespace) -> int:
    """What can be said at once is said; the exit code, or GO_ON."""
    if options.keep and kept():
        print("A demonstration is up already: './scripts/demo --stop' ends it.", file=sys.stderr)
        return 2
    if options.stop and not kept():
        print(NOTHING_KEPT)
        return 0
    return GO_ON


if __name__ == "__main__":
    sys.exit(answer(parse(None)))
