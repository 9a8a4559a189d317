"""`choregraphie new`: writes a project of two services that is checked, tested and run as it is."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from choregraphie.errors import UserError
from choregraphie.process.working_directory import working_directory
from choregraphie.scaffold import write_project
from choregraphie.terminal.arguments import Parser

_EPILOG = """\
example:
  choregraphie new boutique && cd boutique
  pip install -e '.[dev]'
  choregraphie check

The name is that of the Python package. A folder of that name that holds anything is left as it is.
exit code: 0 written, 2 a name or a folder that cannot be used
"""
_NEXT = """\
{folder} is written: two services, their saga and its tests.

  cd {folder}
  pip install -e '.[dev]'               in a virtual environment, the one with choregraphie
  choregraphie check                    is the saga sound?
  pytest                                its tests; a RabbitMQ is SAGA_TEST_AMQP_URL, else a container
  docker compose up -d --wait rabbitmq  a broker
  choregraphie run all                  a worker of each service
  {client:<37} a first enrolment, from a second terminal

README.md goes on from here; AGENTS.md has the rules of writing reactions."""


def new(arguments: Sequence[str]) -> int:
    """Run the verb. Exit code: 0 written, 2 a name or a folder that cannot be used."""
    parser = Parser(
        prog="choregraphie new",
        description="Write a project of two services, with one refusal, one undoing and a decider: contracts,\n"
        "services, application, tests, compose file, CI workflow. It is checked, tested and run as it is.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="of the project, its folder and its package")
    name = parser.parse_args(arguments).name
    try:
        working_directory()
        folder = write_project(name, Path())
    except UserError as error:
        print(f"choregraphie: {error}", file=sys.stderr)
        return 2
    print(_NEXT.format(folder=folder, client=f"python -m {name}.demander"))
    return 0
