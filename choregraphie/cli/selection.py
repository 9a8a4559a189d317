"""How a command line names the services of its application."""

import argparse

from choregraphie.application import Application
from choregraphie.errors import BadSetting
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.engine import is_of_each_service

_IN_MEMORY = {"sqlite://", "sqlite:///:memory:"}


def add_names(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add positional names of services, or `all`."""
    known = [*application.services, "all"]
    parser.add_argument("services", nargs="+", choices=known, metavar="SERVICE", help=", ".join(known))


def add_option(parser: argparse.ArgumentParser, application: Application) -> None:
    """Add `--service NAME`, which may be repeated; without it, every service is meant."""
    parser.add_argument(
        "--service",
        dest="services",
        action="append",
        choices=application.services,
        help="only this service; may be repeated",
    )


def chosen(options: argparse.Namespace) -> list[Service]:
    """The services that the command line names, each once."""
    application: Application = options.application
    return application.chosen(options.services or ["all"])


def with_databases(options: argparse.Namespace, settings: Settings) -> list[Service]:
    """The same, for a command that opens their databases. Raises BadSetting when they would share one."""
    services = chosen(options)
    url = settings.database_url
    if len(services) > 1 and not is_of_each_service(url) and url not in _IN_MEMORY:
        raise BadSetting("SAGA_DATABASE_URL: {service} is missing; each service has a database of its own")
    return services
