"""How a command line names the services of its application."""

import argparse
from functools import partial

from choregraphie.application import Application
from choregraphie.errors import BadSetting, UserError
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.engine import is_of_each_service

_IN_MEMORY = {"sqlite://", "sqlite:///:memory:"}


def add_names(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add positional names of services, or `all`."""
    known = [*application.own, "all"]
    parser.add_argument(
        "services",
        nargs="+",
        type=partial(_not_foreign, application),
        choices=known,
        metavar="SERVICE",
        help=", ".join(known),
    )


def _not_foreign(application: Application, name: str) -> str:
    if name in application.by_name and name not in application.own:
        raise argparse.ArgumentTypeError(f"{name} is a foreign service: others run it, and keep its data")
    return name


def add_option(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add `--service NAME`, which may be repeated; without it, every service is meant."""
    parser.add_argument(
        "--service",
        dest="services",
        action="append",
        type=partial(_not_foreign, application),
        choices=application.own,
        help="only this service; may be repeated",
    )


def add_saga(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add `--saga NAME`, which an application of several sagas needs for a command about one of them."""
    parser.add_argument("--saga", choices=application.saga_set.by_name, help="only this saga")


def the_saga(options: argparse.Namespace) -> Choreography:
    """The saga that the command line is about. Raises UserError when there are several and none is named."""
    application: Application = options.application
    if options.saga is None and len(application.sagas) > 1:
        raise UserError(f"several sagas; choose one with --saga {', '.join(application.saga_set.by_name)}")
    return application.saga_set.by_name[options.saga] if options.saga else application.sagas[0]


def chosen(options: argparse.Namespace) -> list[Service]:
    """The services that the command line names, each once. Raises UserError when others run all of them."""
    application: Application = options.application
    if not application.own:
        raise UserError(f"application {application.name}: every service is foreign: there is none to run here")
    return application.chosen(options.services or ["all"])


def with_databases(options: argparse.Namespace, settings: Settings) -> list[Service]:
    """The same, for a command that opens their databases. Raises BadSetting when they would share one."""
    services = chosen(options)
    url = settings.database_url
    if len(services) > 1 and not is_of_each_service(url) and url not in _IN_MEMORY:
        raise BadSetting("SAGA_DATABASE_URL: {service} is missing; each service has a database of its own")
    return services
