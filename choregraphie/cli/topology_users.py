"""`topology export` and `topology users`: the definitions document, and the users of the broker."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from choregraphie.amqp_url import broker_address
from choregraphie.application import Application
from choregraphie.deployment import (
    Identity,
    PasswordFiles,
    definitions,
    identities,
    make_users,
    through_management,
    through_rabbitmqctl,
)
from choregraphie.errors import UserError
from choregraphie.paths import is_folder
from choregraphie.settings import Settings
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.tables import Column, Fitted, console_of

_ABOUT_EXPORT = """\
Print a RabbitMQ definitions document: virtual host, users, permissions, topic permissions, a policy that spreads
the leaders of the queues over a cluster, exchanges, queues, bindings. `rabbitmqctl import_definitions` and the
management take it over. Without --passwords no user can log in, and importing the document takes the passwords of
users that exist away; with it, the document holds salted hashes.
"""
_ABOUT_USERS = """\
Make the users of the broker, each with the rights that its part needs and no more: one for every service, client,
monitor, ops, deployer. Each has a random password, in files of mode 0400: FOLDER/NAME/password, amqp-url beside it
for SAGA_AMQP_URL_FILE and, with SAGA_MANAGEMENT_URL set, management-url. A password that has its file stays, so
the command may be repeated, after a new service for example. SAGA_MANAGEMENT_URL names an administrator;
--rabbitmqctl does without.
"""


def add(actions: Any) -> None:
    export = actions.add_parser("export", help="a RabbitMQ definitions document", description=_ABOUT_EXPORT)
    export.add_argument("--passwords", type=Path, metavar="FOLDER", help="the folder that `topology users` wrote")
    _add_prefix(export)
    export.set_defaults(do=_export)
    users = actions.add_parser(
        "users", help="make a user for each part, with the least rights", description=_ABOUT_USERS
    )
    users.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="the folder of the passwords")
    users.add_argument(
        "--rotate",
        action="append",
        default=[],
        metavar="NAME",
        help="a new password for NAME, or for `all`; may be repeated",
    )
    users.add_argument(
        "--rabbitmqctl",
        nargs="?",
        const="rabbitmqctl",
        metavar="COMMAND",
        help="through rabbitmqctl, or COMMAND, in place of the management",
    )
    _add_prefix(users)
    add_json(users)
    users.set_defaults(do=_users)


def _add_prefix(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--prefix", default="", help="before the name of each user, where several applications share a broker"
    )


def _export(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    wanted = application.topology(settings)
    known = identities(application.saga_set, wanted)
    passwords = {}
    if options.passwords:
        _check_folder(options.passwords)
        files = PasswordFiles(options.passwords)
        passwords = {one.name: found for one in known if (found := files.read(one.name))}
    vhost = broker_address(settings.current("amqp_url")).vhost
    print(json.dumps(definitions(wanted, known, vhost, passwords, options.prefix), indent=2, ensure_ascii=False))
    if without := [one.name for one in known if one.name not in passwords]:
        print(f"{application.program}: without a password: {', '.join(without)}", file=sys.stderr)
    return 0


def _check_folder(folder: Path) -> None:
    """Raises UserError when there is no such folder: a document without passwords takes those that users have."""
    try:
        there = is_folder(folder)
    except OSError as error:  # the folder above may not be looked into
        raise UserError(f"{folder}: {error.strerror}") from None
    if not there:
        raise UserError(f"{folder}: there is no such folder of passwords")


def _users(options: argparse.Namespace, settings: Settings) -> int:
    application: Application = options.application
    known = identities(application.saga_set, application.topology(settings))
    ctl = options.rabbitmqctl
    made = make_users(
        known,
        settings,
        through_rabbitmqctl(ctl) if ctl else through_management(settings),
        PasswordFiles(options.into),
        rotate=_rotated(options.rotate, known),
        prefix=options.prefix,
    )
    if options.json:
        shown = [
            {"name": f"{options.prefix}{one.name}", "folder": str(options.into / one.name), "new": made[one.name]}
            for one in known
        ]
        print(json.dumps(shown, ensure_ascii=False))
        return 0
    table = Fitted(Column("user"), Column("password"), Column("files"), Column("what for", wraps=True, goes=1))
    for one in known:
        password = "new" if made[one.name] else "as it was"
        table.add_row(f"{options.prefix}{one.name}", password, str(options.into / one.name), one.purpose)
    console_of().print(table)
    return 0


def _rotated(asked: list[str], known: tuple[Identity, ...]) -> list[str]:
    names = [one.name for one in known]
    if unknown := [name for name in asked if name not in {*names, "all"}]:
        raise UserError(f"topology users: --rotate: there is no {unknown[0]}; there are {', '.join(names)}")
    return names if "all" in asked else asked
