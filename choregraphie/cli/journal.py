"""`journal`: the actions carried out for an instance, or those still to be undone."""

import argparse
import datetime as dt
import itertools
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Connection

from choregraphie.application import Application
from choregraphie.cli.selection import add_option, add_saga, the_saga, with_databases
from choregraphie.errors import DatabaseRefused, UserError
from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from choregraphie.service.action import Entry
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.cancelled import PAGE_ROWS, open_cancelled
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.journal import journal_of, open_actions
from choregraphie.terminal.arguments import add_json, add_wide, key_text
from choregraphie.terminal.formats import with_article
from choregraphie.terminal.tables import Column, Fitted, after, console_of, is_bounded, short_ids

Entries = Callable[[Service, Connection], list[Entry]]


def add(verbs: Any, application: Application) -> None:
    one, several = application.saga_set.noun
    journal = verbs.add_parser(
        "journal",
        help=f"the actions carried out for {with_article(one)}, service by service",
        description=f"The actions carried out for {with_article(one)}, with their data, and whether they were "
        f"undone. With --open: the actions done and not undone of cancelled {several}; there should be none. Exit "
        f"code 1 when nothing was carried out for the {one}, or something is open; 2 when that cannot be told.",
    )
    named = " or ".join(application.saga_set.keys)
    journal.add_argument("key", nargs="?", type=key_text, metavar="KEY", help=f"the {named}")
    journal.add_argument("--open", action="store_true", help=f"actions done and not undone of cancelled {several}")
    add_saga(journal, application)
    add_json(journal)
    add_wide(journal)
    add_option(journal, application)
    journal.set_defaults(do=_journal)


def _journal(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    if bool(options.key) == options.open:
        one = with_article(application.saga_set.noun[0])
        print(f"{application.program}: journal: give either {one} or --open", file=sys.stderr)
        return 2
    entries = (
        _open(application, (the_saga(options),) if options.saga else application.sagas, settings)
        if options.open
        else lambda _, connection: journal_of(connection, options.key, options.saga)
    )
    services = with_databases(options, settings)
    found, unread = _read(services, entries, settings)
    if options.json:
        shown = [_shown(name, entry, options.application.saga_set) for name, entry in found]
        print(json.dumps(shown, ensure_ascii=False))
    elif found:
        console = console_of(wide=options.wide)
        one = options.application.saga_set.noun[0]
        console.print(_view(found, one, full=not is_bounded(console)))
    for refused in unread:
        print(f"{options.application.program}: {refused}", file=sys.stderr)
    if not found and not unread and not options.open:
        print(f"no service has carried out anything for {options.key}", file=sys.stderr)
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


def _open(application: Application, sagas: Sequence[Choreography], settings: Settings) -> Entries:
    """The actions done and not undone of the instances that the deciders of `sagas` have cancelled.

    Raises UserError when a decider is foreign: which instances it has cancelled cannot be read here.
    """
    deciders = dict.fromkeys(saga.decider for saga in sagas)
    for name in deciders:
        if name not in application.own:
            raise UserError(
                f"journal: {name} decides and is run by others: what it has cancelled is not known here"
            )
        with open_cancelled(application.own[name], settings) as cancelled:
            next(cancelled, None)  # one that cannot be read is refused once, not for each service

    def entries(service: Service, connection: Connection) -> list[Entry]:
        undoable = {action.__name__ for handler in service.reactions for action in handler.undoes}
        pages = (page for name in deciders for page in _pages(application.own[name], sagas, settings))
        return [entry for page in pages for entry in open_actions(connection, page, undoable)] if undoable else []

    return entries


def _pages(decider: Service, sagas: Sequence[Choreography], settings: Settings) -> Iterator[list[Instance]]:
    """The instances of `sagas` that `decider` has cancelled, page by page. It may serve other sagas as well."""
    wanted = {saga.name for saga in sagas}
    with open_cancelled(decider, settings) as cancelled:
        of_sagas = (one for one in cancelled if one.saga in wanted)
        while page := list(itertools.islice(of_sagas, PAGE_ROWS)):
            yield page


def _shown(service: str, entry: Entry, sagas: SagaSet) -> dict[str, Any]:
    return {
        "service": service,
        "saga": entry.saga,
        sagas.key_of(entry.saga): entry.key,
        "action": entry.action,
        "state": entry.state.value,
        "data": entry.data,
        "cause": entry.cause,
        "cause_source": entry.cause_source,
        "at": entry.at.isoformat(),
        "undone_at": entry.undone_at.isoformat() if entry.undone_at else None,
        "undone_by": entry.undone_by,
    }


def _view(found: list[tuple[str, Entry]], noun: str, *, full: bool) -> RenderableType:
    """A table of the entries. Times count from the first action of one instance; otherwise they are absolute."""
    instances = list(dict.fromkeys(entry.instance for _, entry in found))
    if full or len(instances) > 1:
        return _table(found, _clock, {}, Column(noun))
    first = found[0][1].at
    values = (value for _, entry in found for value in entry.data.values())
    ids = short_ids(value for value in values if _is_uuid(value))
    head = Text.assemble((instances[0].key, "bold"), f"  from {first:%F %T} UTC on")
    return Group(head, Text(), _table(found, lambda at: after(at, first), ids))


def _table(
    found: list[tuple[str, Entry]], when: Callable[[dt.datetime], str], ids: dict[str, str], *keyed: Column
) -> Fitted:
    data = Column("data", wraps=True, goes=0 if keyed else 1)
    table = Fitted(
        Column("at", right=not keyed),
        Column("service"),
        *keyed,
        Column("action"),
        Column("state"),
        Column("undone at", goes=2),
        data,
    )
    for service, entry in found:
        said = ", ".join(f"{name}={ids.get(str(value), value)}" for name, value in entry.data.items())
        keys = [entry.key] if keyed else []
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
