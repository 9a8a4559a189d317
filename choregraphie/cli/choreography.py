"""`choreography`: checks the saga, draws it, and writes the documents derived from it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from choregraphie.application import Application
from choregraphie.cli import simulate
from choregraphie.cli.selection import add_saga, the_saga
from choregraphie.errors import UserError
from choregraphie.orchestration import Orchestrated
from choregraphie.prover import (
    FORMATS,
    Rule,
    as_data,
    as_json,
    as_text,
    diagram,
    document,
    documents,
    promela,
    prove,
    schema,
    steps_text,
)
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.tables import folded

# The documents describe what is shipped, whatever the environment of this machine says.
DELAYS = Settings().retry_delays

_EXAMPLES = """\
examples:
  {command} choreography check                  is the saga sound, and does the code match it?
  {command} choreography check --json           the same for a program
  {command} choreography diagram --format svg > choreography.svg
  {command} choreography asyncapi --service {service}
  {command} choreography schemas --event {event}
  {command} choreography promela > saga.pml     a model for SPIN; its first lines say how to check it
  {command} choreography generate --into docs   all of the documents; the tests compare docs/ with them

docs/add-your-own-service.md adds a service to the declarations.
"""
_ABOUT_CHECK = """\
Check the declared choreography, and the services' tables of reactions against it. The check explores every run
of one instance: deliveries late and in any order, refusals, reactions that give up, cancellations and deadlines at
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
        epilog=_EXAMPLES.format(
            command=application.command,
            service=next(iter(application.own), "SERVICE"),
            event=application.sagas[0].starts.TYPE,
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_actions(choreography.add_subparsers(required=True, metavar="ACTION"), application)


def add_actions(actions: Any, application: Application) -> None:
    """Add what can be done with a choreography."""
    _add_check(actions, application)
    drawing = _described(actions, "diagram", "the diagram of who hears and says what, on standard output")
    drawing.add_argument("--format", choices=FORMATS, default="mermaid", help="mermaid by default")
    add_saga(drawing, application)
    drawing.set_defaults(do=_diagram, only_sound=False)
    listed = _described(actions, "steps", "the steps of an orchestrated saga, as declared or derived")
    add_saga(listed, application)
    listed.set_defaults(do=_steps, only_sound=False)
    described = _described(actions, "asyncapi", "AsyncAPI 3.0, one document per service, as JSON")
    described.add_argument("--service", choices=application.by_name, help="only this service's document")
    add_saga(described, application)
    described.set_defaults(do=_asyncapi, only_sound=False)
    schemas = _described(actions, "schemas", "JSON Schema (2020-12) of each event, envelope included")
    types = application.saga_set.event_types
    schemas.add_argument("--event", choices=types, metavar="TYPE", help=f"only this event: {', '.join(types)}")
    schemas.set_defaults(do=_schemas, only_sound=False)
    modelled = _described(actions, "promela", "a model for the model checker SPIN, with a formula for each rule")
    add_saga(modelled, application)
    modelled.set_defaults(do=_promela, only_sound=False)
    _add_generate(actions, application)
    if application.scenario:
        simulate.add(actions, application)


def _add_generate(actions: Any, application: Application) -> None:
    generated = _described(
        actions,
        "generate",
        "write all of these documents into a folder; of several sagas, each into one of its own",
    )
    generated.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="`docs` for the shipped copies"
    )
    add_saga(generated, application)
    generated.set_defaults(do=_generate, only_sound=False)


def _described(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = actions.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    return added


def _add_check(actions: Any, application: Application) -> None:
    rules = "\n".join(f"  {rule.slug:13} {rule.sentence}" for rule in Rule)
    check = actions.add_parser(
        "check",
        help="is the saga sound, and does the code match it? exit code 0 or 1",
        description=_ABOUT_CHECK,
        epilog=f"rules:\n{rules}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "--full",
        action="store_true",
        help="explore every state, without partial-order reduction: slower, with the same verdicts",
    )
    add_json(check)
    add_saga(check, application)
    check.set_defaults(do=_check, only_sound=False)


def _check(options: argparse.Namespace, settings: Settings) -> int:
    sagas = [the_saga(options)] if options.saga else options.application.sagas
    proofs = {saga.name: prove(saga, options.application.by_name, full=options.full) for saga in sagas}
    if options.json:
        shown = {name: as_data(proof) for name, proof in proofs.items()}
        print(as_json(shown if len(shown) > 1 else next(iter(shown.values()))), end="")
    else:
        for name, proof in proofs.items():
            print(f"{f'saga {name}: ' if len(proofs) > 1 else ''}{folded(as_text(proof))}")
    return 0 if all(proof.holds for proof in proofs.values()) else 1


def _steps(options: argparse.Namespace, settings: Settings) -> int:
    saga = the_saga(options)
    if not isinstance(saga, Orchestrated):
        raise UserError(f"saga {saga.name}: nobody leads its steps; set SAGA_COORDINATION=orchestration")
    print(steps_text(saga.orchestration))
    return 0


def _diagram(options: argparse.Namespace, settings: Settings) -> int:
    print(diagram(the_saga(options), options.format), end="")
    return 0


def _asyncapi(options: argparse.Namespace, settings: Settings) -> int:
    application, saga = options.application, the_saga(options)
    described = {
        name: document(service, saga, DELAYS, service.canvas) for name, service in application.by_name.items()
    }
    print(as_json(described[options.service] if options.service else described), end="")
    return 0


def _schemas(options: argparse.Namespace, settings: Settings) -> int:
    found = {event.TYPE: schema(event) for event in options.application.saga_set.event_types.values()}
    print(as_json(found[options.event] if options.event else found), end="")
    return 0


def _promela(options: argparse.Namespace, settings: Settings) -> int:
    print(promela(the_saga(options)), end="")
    return 0


def _generate(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    several = len(application.sagas) > 1
    written = {
        # Sagas may share services, and each has a document of a shared one.
        options.into / (saga.name if several else "") / name: text
        for saga in application.sagas
        if options.saga in {None, saga.name}
        for name, text in documents(saga, application.by_name, DELAYS).items()
    }
    try:
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{error.filename}: {error.strerror}") from None
    print(f"{len(written)} documents written into {options.into}", file=sys.stderr)
    return 0
