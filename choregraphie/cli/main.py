"""The command line of an application: its parser and its exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

from choregraphie import BrokerUnavailable, DatabaseUnavailable, UserError, read_settings
from choregraphie.application import Application
from choregraphie.cli import choreography, inspect, journal, outbox, run
from choregraphie.logs import silence_the_client
from choregraphie.process.stdout_errors import output_lost
from choregraphie.terminal.arguments import Parser

_EXAMPLES = """\
examples:
  python -m {name} run stock            a worker of one service
  python -m {name} run all              all of them in one process
  python -m {name} ready stock --wait 30
  python -m {name} inspect stock        the goods available, held and sold
  python -m {name} journal CMD-0001     what every service did for an order
  python -m {name} outbox list          events decided and not published yet
  python -m {name} choreography check   whether the saga is sound, before it runs

Settings come from the environment (SAGA_AMQP_URL, SAGA_DATABASE_URL, …); see the README.
"""


def main(application: Application, arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Exit code: 0 success, 1 negative result, 2 usage or configuration error."""
    options = _parser(application).parse_args(arguments)
    silence_the_client()
    try:
        code = int(options.do(options, read_settings(os.environ)))
        sys.stdout.flush()
        return code
    except (UserError, BrokerUnavailable, DatabaseUnavailable) as error:
        print(f"{application.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return output_lost(application.name, error)


def _parser(application: Application) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {application.name}",
        description="Run and inspect the services of the saga.",
        epilog=_EXAMPLES.format(name=application.name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for module in (run, inspect, journal, outbox, choreography):
        module.add(verbs, application)
    parser.set_defaults(application=application)
    return parser
