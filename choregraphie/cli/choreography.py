"""`choreography`: checks the saga, draws it, and writes the documents derived from it."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from choregraphie.application import Application
from choregraphie.cli import simulate
from choregraphie.errors import UserError
from choregraphie.prover import (
    FORMATS,
    Rule,
    as_data,
    as_json,
    as_text,
    diagram,
    document,
    documents,
    prove,
    schema,
)
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.tables import folded

# The documents describe what is shipped, whatever the environment of this machine says.
DELAYS = Settings().retry_delays

_EXAMPLES = """\
examples:
  python -m {name} choreography check                  is the saga sound, and does the code match it?
  python -m {name} choreography check --json           the same for a program
  python -m {name} choreography diagram --format svg > choreography.svg
  python -m {name} choreography asyncapi --service stock
  python -m {name} choreography schemas --event stock.reserve
  python -m {name} choreography generate --into docs   all of the documents; the tests compare docs/ with them

The declarations are in contracts/choreography.py; docs/add-your-own-service.md adds a service to them.
"""
_ABOUT_CHECK = """\
Check the declared choreography, and the services' tables of reactions against it. The check explores every run
of one order: deliveries late and in any order, refusals, reactions that give up, cancellations and deadlines at
any moment. It shows a broken rule by a shortest run that breaks it. Exit code 0: the choreography holds, 1: it
does not, 2: it could not be checked.
"""


class CannotWrite(UserError):
    """A generated document cannot be written."""


def add(verbs: Any, application: Application) -> None:
    choreography = verbs.add_parser(
        "choreography",
        help="check the saga before it runs; diagrams, AsyncAPI and JSON Schema documents",
        description="Check the saga before it runs, draw it, and generate the documents that follow from it.",
        epilog=_EXAMPLES.format(name=application.name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = choreography.add_subparsers(required=True, metavar="ACTION")
    _add_check(actions)
    drawing = _described(actions, "diagram", "the diagram of who hears and says what, on standard output")
    drawing.add_argument("--format", choices=FORMATS, default="mermaid", help="mermaid by default")
    drawing.set_defaults(do=_diagram)
    described = _described(actions, "asyncapi", "AsyncAPI 3.0, one document per service, as JSON")
    described.add_argument("--service", choices=application.services, help="only this service's document")
    described.set_defaults(do=_asyncapi)
    schemas = _described(actions, "schemas", "JSON Schema (2020-12) of each event, envelope included")
    types = application.choreography.event_types
    schemas.add_argument("--event", choices=types, metavar="TYPE", help=f"only this event: {', '.join(types)}")
    schemas.set_defaults(do=_schemas)
    generated = _described(actions, "generate", "write all of these documents into a folder")
    generated.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="`docs` for the shipped copies"
    )
    generated.set_defaults(do=_generate)
    if application.scenario:
        simulate.add(actions, application)


def _described(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = actions.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    return added


def _add_check(actions: Any) -> None:
    rules = "\n".join(f"  {rule.slug:13} {rule.sentence}" for rule in Rule)
    check = actions.add_parser(
        "check",
        help="is the saga sound, and does the code match it? exit code 0 or 1",
        description=_ABOUT_CHECK,
        epilog=f"rules:\n{rules}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_json(check)
    check.set_defaults(do=_check)


def _check(options: argparse.Namespace, settings: Settings) -> int:
    proof = prove(options.application.choreography, options.application.services)
    if options.json:
        print(as_json(as_data(proof)), end="")
    else:
        print(folded(as_text(proof)))
    return 0 if proof.holds else 1


def _diagram(options: argparse.Namespace, settings: Settings) -> int:
    print(diagram(options.application.choreography, options.format), end="")
    return 0


def _asyncapi(options: argparse.Namespace, settings: Settings) -> int:
    described = {
        name: document(service, options.application.choreography, DELAYS, canvases(options.application)[name])
        for name, service in options.application.services.items()
    }
    print(as_json(described[options.service] if options.service else described), end="")
    return 0


def _schemas(options: argparse.Namespace, settings: Settings) -> int:
    found = {event.TYPE: schema(event) for event in options.application.choreography.events}
    print(as_json(found[options.event] if options.event else found), end="")
    return 0


def _generate(options: argparse.Namespace, settings: Settings) -> int:
    written = documents(
        options.application.choreography, options.application.services, DELAYS, canvases(options.application)
    )
    try:
        for name, text in written.items():
            path = options.into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{error.filename}: {error.strerror}") from None
    print(f"{len(written)} documents written into {options.into}", file=sys.stderr)
    return 0


def canvases(application: Application) -> dict[str, str]:
    """The docstring of each service's package."""
    return {
        name: importlib.import_module(f"{application.package}.{name}").__doc__ or ""
        for name in application.services
    }
