"""The services that there are, and how a command line names them."""

import argparse

from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.runtime import BadSetting, Service, Settings, is_of_each_service
from services.stock import SERVICE as STOCK

_IN_MEMORY = {"sqlite://", "sqlite:///:memory:"}

SERVICES = {service.name: service for service in (STOCK, PAIEMENT, COMMANDE, NOTIFICATION)}


def add_names(parser: argparse.ArgumentParser) -> None:
    """Positional names of services, or `all`."""
    known = [*SERVICES, "all"]
    parser.add_argument("services", nargs="+", choices=known, metavar="SERVICE", help=", ".join(known))


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--service NAME`, several times; all of them by default."""
    parser.add_argument(
        "--service", dest="services", action="append", choices=SERVICES, help="only this service; may be repeated"
    )


def chosen(options: argparse.Namespace) -> list[Service]:
    """The services that the command line names, each once."""
    names = options.services or ["all"]
    return [SERVICES[name] for name in (SERVICES if "all" in names else dict.fromkeys(names))]


def with_databases(options: argparse.Namespace, settings: Settings) -> list[Service]:
    """The same, for a verb that opens their databases. Raises BadSetting when they would have to share one."""
    services = chosen(options)
    url = settings.database_url
    if len(services) > 1 and not is_of_each_service(url) and url not in _IN_MEMORY:
        raise BadSetting("SAGA_DATABASE_URL: {service} is missing; each service has a database of its own")
    return services
