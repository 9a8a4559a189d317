"""The services that there are, and how a command line names them."""

import argparse

from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.runtime import Service
from services.stock import SERVICE as STOCK

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
    """The services that the command line names."""
    names = options.services or ["all"]
    return list(SERVICES.values()) if "all" in names else [SERVICES[name] for name in names]
