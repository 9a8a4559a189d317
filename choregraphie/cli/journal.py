"""`journal`: the actions carried out for an order, or those still to be undone."""

import argparse
import datetime as dt
import json
import sys
import uuid
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Connection

from choregraphie.application import Application
from choregraphie.cli.selection import add_option, with_databases
from choregraphie.errors import DatabaseRefused
from choregraphie.service.action import Entry
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.journal import journal_of, open_actions
from choregraphie.terminal.arguments import add_json, add_wide
from choregraphie.terminal.tables import Column, Fitted, after, console_of, is_bounded, short_ids

Entries = Callable[[Service, Connection], list[Entry]]


def add(verbs: Any, application: Application) -> None:
    journal = verbs.add_parser(
        "journal",
        help="the actions carried out for an order, service by service",
        description="The actions carried out for an order, with their data, and whether they were undone. "
        "With --open: the actions done and not undone of cancelled orders; there should be none. Exit code 1 when "
        "nothing was carried out for the order, or something is open; 2 when that cannot be told.",
    )
    journal.add_argument("commande_id", nargs="?", metavar="CMD", help="the order")
    journal.add_argument("--open", action="store_true", help="actions done and not undone of cancelled orders")
    add_json(journal)
    add_wide(journal)
    add_option(journal, application)
    journal.set_defaults(do=_journal)


def _journal(options: argparse.Namespace, settings: Settings) -> int:
    if bool(options.commande_id) == options.open:
        print(f"{options.application.name}: journal: give either an order or --open", file=sys.stderr)
        return 2
    entries = (
        _open(options.application, settings)
        if options.open
        else lambda _, connection: journal_of(connection, options.commande_id)
    )
    services = with_databases(options, settings)
    found, unread = _read(services, entries, settings)
    if options.json:
        print(json.dumps([_shown(name, entry) for name, entry in found], ensure_ascii=False))
    elif found:
        console = console_of(wide=options.wide)
        console.print(_view(found, full=not is_bounded(console)))
    for refused in unread:
        print(f"{options.application.name}: {refused}", file=sys.stderr)
    if not found and not unread and not options.open:
        print(f"no service has carried out anything for {options.commande_id}", file=sys.stderr)
    return _code(bool(found), bool(unread), as_hoped=bool(found) != options.open)


def _code(found: bool, unread: bool, *, as_hoped: bool) -> int:
    """The exit code. An entry that was not found may be in a database that could not be read."""
    if unread and not found:
        return 2
    return 0 if as_hoped else 1


def _read(
    services: list[Service], entries: Entries, settings: Settings
) -> tuple[list[tuple[str, Entry]], list[DatabaseRefused]]:
    """The entries of all services, oldest first; and the errors of the databases that could not be read."""
    found, unread = [], []
    for service in services:
        try:
            with open_for_reading(service, settings) as connection:
                found += [(service.name, entry) for entry in entries(service, connection)]
        except DatabaseRefused as refused:
            unread.append(refused)
    return sorted(found, key=lambda pair: pair[1].at), unread


def _open(application: Application, settings: Settings) -> Entries:
    """The actions done and not undone of the orders that the decider has cancelled."""
    decider = application.services[application.choreography.decider]
    with open_for_reading(decider, settings) as connection:
        orders = decider.cancelled(connection)

    def entries(service: Service, connection: Connection) -> list[Entry]:
        undoable = {action.__name__ for handler in service.reactions for action in handler.undoes}
        return open_actions(connection, orders, undoable)

    return entries


def _shown(service: str, entry: Entry) -> dict[str, Any]:
    return {
        "service": service,
        "commande_id": entry.commande_id,
        "action": entry.action,
        "state": entry.state.value,
        "data": entry.data,
        "cause": entry.cause,
        "cause_source": entry.cause_source,
        "at": entry.at.isoformat(),
        "undone_at": entry.undone_at.isoformat() if entry.undone_at else None,
        "undone_by": entry.undone_by,
    }


def _view(found: list[tuple[str, Entry]], *, full: bool) -> RenderableType:
    """A table of the entries. Times count from the first action of one order; otherwise they are absolute."""
    orders = list(dict.fromkeys(entry.commande_id for _, entry in found))
    if full or len(orders) > 1:
        return _table(found, _clock, {}, Column("order"))
    first = found[0][1].at
    values = (value for _, entry in found for value in entry.data.values())
    ids = short_ids(value for value in values if _is_uuid(value))
    head = Text.assemble((orders[0], "bold"), f"  from {first:%F %T} UTC on")
    return Group(head, Text(), _table(found, lambda at: after(at, first), ids))


def _table(
    found: list[tuple[str, Entry]], when: Callable[[dt.datetime], str], ids: dict[str, str], *order: Column
) -> Fitted:
    data = Column("data", wraps=True, goes=0 if order else 1)
    table = Fitted(
        Column("at", right=not order),
        Column("service"),
        *order,
        Column("action"),
        Column("state"),
        Column("undone at", goes=2),
        data,
    )
    for service, entry in found:
        said = ", ".join(f"{name}={ids.get(value, value)}" for name, value in entry.data.items())
        keys = [entry.commande_id] if order else []
        undone = when(entry.undone_at) if entry.undone_at else ""
        table.add_row(when(entry.at), service, *keys, entry.action, entry.state, undone, said)
    return table


def _clock(time: dt.datetime) -> str:
    return f"{time:%F %H:%M:%S.%f}"[:-3]


def _is_uuid(value: object) -> bool:
    try:
        return len(str(value)) == 36 and bool(uuid.UUID(str(value)))
    except ValueError:
        return False
