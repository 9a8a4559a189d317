"""The command line of an application: its parser and its exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from choregraphie import BrokerUnavailable, DatabaseUnavailable, UserError
from choregraphie.application import Application
from choregraphie.errors import ManagementUnavailable
from choregraphie.logs import silence_the_client
from choregraphie.process.stdout_errors import output_lost
from choregraphie.process.working_directory import working_directory
from choregraphie.resolution import check_declarations
from choregraphie.terminal.arguments import Parser

# The module of each verb. A verb imports its own alone: the others would double the time in which a worker starts.
MODULES = {
    "run": "run",
    "ready": "run",
    "inspect": "inspect",
    "journal": "journal",
    "outbox": "outbox",
    "dlq": "dlq",
    "settle": "settle",
    "relay": "relay",
    "topology": "topology",
    "doctor": "doctor",
    "keys": "keys",
    "choreography": "choreography",
}
# What the command `choregraphie` does itself, beside the verbs of an application.
VERBS_OF_THE_COMMAND = ("monitor", "new")


def main(application: Application, arguments: Sequence[str] | None = None, *, flat: bool = False) -> int:
    """Run the command line. Exit code: 0 success, 1 negative result, 2 usage or configuration error.

    `flat`: for the command `choregraphie`. The actions of `choreography` are verbs as well.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(application, arguments[0] if arguments else "", flat=flat).parse_args(arguments)
    silence_the_client()
    try:
        working_directory()  # without it, each path of a setting would seem to be missing
        if options.only_sound:
            check_declarations(application)
        code = int(options.do(options, application.read_settings(os.environ)))
        sys.stdout.flush()
        return code
    except (UserError, DatabaseUnavailable, ManagementUnavailable) as error:
        print(f"{application.program}: {error}", file=sys.stderr)
        return 2
    except BrokerUnavailable as error:
        print(f"{application.program}: broker away ({error}); SAGA_AMQP_URL names the broker", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return output_lost(application.program, error)


def _parser(application: Application, verb: str = "", *, flat: bool = False) -> argparse.ArgumentParser:
    """The parser of `verb`; of all verbs when there is none of that name, to list them."""
    parser = Parser(
        prog=application.command,
        description="Run and inspect the services of the saga.",
        epilog=_examples(application),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for module in _modules(verb):
        module.add(verbs, application)
    if flat and verb not in MODULES:
        import_module("choregraphie.cli.choreography").add_actions(verbs, application)
        for other in VERBS_OF_THE_COMMAND:
            verbs.add_parser(other)
    # `only_sound`: the command runs or reads what was declared, so the declarations are checked before it.
    parser.set_defaults(application=application, only_sound=True)
    return parser


def _modules(verb: str) -> list[ModuleType]:
    names = [MODULES[verb]] if verb in MODULES else list(dict.fromkeys(MODULES.values()))
    return [import_module(f"choregraphie.cli.{name}") for name in names]


def _examples(application: Application) -> str:
    service = next(iter(application.own), "SERVICE")
    examples = {
        f"run {service}": "a worker of one service",
        "run all": "all of them in one process",
        f"ready {service} --wait 30": "whether it hears its inbox",
        f"inspect {service}": "its business state",
        "journal KEY": f"what every service did for one {application.saga_set.noun[0]}",
        "outbox list": "events decided and not published yet",
        "dlq list": "dead letters, by service, reason and fault",
        "settle KEY --undone STEP": "the answer that a service owes, given by a person",
        "relay --database URL": "events that a program decided in its own database",
        "topology check": "whether the broker is what the saga asks for",
        "doctor": "what is wrong with broker, queues, databases, settings",
        "choreography check": "whether the saga is sound, before it runs",
    }
    width = max(map(len, examples))
    lines = [f"  {application.command} {verb.ljust(width)}  {what}" for verb, what in examples.items()]
    settings = "Settings come from the environment (SAGA_AMQP_URL, SAGA_DATABASE_URL, …); see the README."
    return "\n".join(["examples:", *lines, "", settings])
