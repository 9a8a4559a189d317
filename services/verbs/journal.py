"""`journal`: what was carried out for an order, and what was undone; or what is still to be undone."""

import argparse
import json
import sys
from typing import Any

from rich.table import Table
from rich.text import Text

from contracts.choreography import CHOREOGRAPHY
from services.runtime import Entry, Settings, history_of, open_actions, orders_of, reading
from services.verbs.arguments import console, whole
from services.verbs.catalogue import SERVICES, add_option, chosen


def add(verbs: Any) -> None:
    journal = verbs.add_parser(
        "journal",
        help="the actions carried out for an order, service by service",
        description="The actions carried out for an order, with their data, and whether they were undone. "
        "With --open: the actions done and not undone of cancelled orders; there should be none.",
    )
    journal.add_argument("commande_id", nargs="?", metavar="CMD", help="the order")
    journal.add_argument("--open", action="store_true", help="actions done and not undone of cancelled orders")
    journal.add_argument("--json", action="store_true", help="for programs")
    add_option(journal)
    journal.set_defaults(do=_journal)


def _journal(options: argparse.Namespace, settings: Settings) -> int:
    if bool(options.commande_id) == options.open:
        print("services: journal: name an order, or ask for --open, and not both", file=sys.stderr)
        return 2
    found = _open(options, settings) if options.open else _of_order(options, settings)
    if options.json:
        print(json.dumps([_shown(name, entry) for name, entry in found], ensure_ascii=False))
    elif found:
        console().print(_table(found))
    if not found and not options.open:
        print(f"no service has carried out anything for {options.commande_id}", file=sys.stderr)
        return 1
    return 0


def _of_order(options: argparse.Namespace, settings: Settings) -> list[tuple[str, Entry]]:
    found = []
    for service in chosen(options):
        with reading(service, settings) as connection:
            found += [(service.name, entry) for entry in history_of(connection, options.commande_id)]
    return sorted(found, key=lambda pair: pair[1].at)


def _open(options: argparse.Namespace, settings: Settings) -> list[tuple[str, Entry]]:
    """The decider knows the cancelled orders, as far back as its outbox remembers; each service, what it did."""
    with reading(SERVICES[CHOREOGRAPHY.decider], settings) as connection:
        orders = orders_of(connection, CHOREOGRAPHY.cancelled.TYPE)
    found = []
    for service in chosen(options):
        undoable = {action.__name__ for line in service.reactions for action in line.undoes}
        with reading(service, settings) as connection:
            found += [(service.name, entry) for entry in open_actions(connection, orders, undoable)]
    return found


def _shown(service: str, entry: Entry) -> dict[str, Any]:
    return {
        "service": service,
        "commande_id": entry.commande_id,
        "action": entry.action,
        "state": entry.state.value,
        "data": entry.data,
        "cause": entry.cause,
        "at": entry.at.isoformat(),
        "undone_at": entry.undone_at.isoformat() if entry.undone_at else None,
        "undone_by": entry.undone_by,
    }


def _table(found: list[tuple[str, Entry]]) -> Table:
    table = whole(Table("at", "service", "order", "action", "state", "data", "undone at"))
    for service, entry in found:
        data = ", ".join(f"{name}={value}" for name, value in entry.data.items())
        undone = f"{entry.undone_at:%F %H:%M:%S.%f}"[:-3] if entry.undone_at else ""
        cells = (
            f"{entry.at:%F %H:%M:%S.%f}"[:-3],
            service,
            entry.commande_id,
            entry.action,
            entry.state,
            data,
            undone,
        )
        table.add_row(*(Text(cell) for cell in cells))  # as text: an order's id is not markup
    return table
