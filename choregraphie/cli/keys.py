"""`keys`: makes and lists the keys that events are signed with."""

import argparse
import json
from typing import Any

from choregraphie.application import Application
from choregraphie.errors import UserError
from choregraphie.extras import needing
from choregraphie.settings import Settings
from choregraphie.signing import OPS
from choregraphie.terminal.arguments import add_json
from choregraphie.terminal.tables import Column, Fitted, console_of

_ABOUT = """\
The keys with which events are signed and verified when SAGA_SIGNING=ed25519. Each service, the clients and the
operators have a private key of their own; everybody has the public keys of all.
"""
_ABOUT_NEW = """\
Make a pair of keys (Ed25519) for each NAME: a service, `client`, `ops` for operators, or `all` of them. The
private key goes to SAGA_SIGNING_KEY with the mode 0400, the public one to SAGA_SIGNING_PUBLIC/NAME. A file that is
there is never replaced. SAGA_SIGNING=ed25519 then turns signatures on.

To replace a key, make the next one with --next, hand its public key to everybody, and move it to the place of the
private key: mv NAME.pem.next NAME.pem. Restart what signs with it. Take the old public key away when nothing that
it has signed may come again.
"""


def add(verbs: Any, application: Application) -> None:
    keys = verbs.add_parser("keys", help="the keys of signatures: make and list them", description=_ABOUT)
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser(
        "new",
        help="a pair of keys for a service, for clients or for operators",
        description=_ABOUT_NEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("names", nargs="+", metavar="NAME", help=f"{', '.join(_owners(application))}, or all")
    new.add_argument("--next", action="store_true", help="the key that follows the current one")
    new.set_defaults(do=_new)
    listing = actions.add_parser(
        "list", help="the public keys, and whether the private key of each is here", description=_list.__doc__
    )
    add_json(listing)
    listing.set_defaults(do=_list)


def _owners(application: Application) -> tuple[str, ...]:
    """Who signs: everybody who says an event, and operators."""
    return (*application.saga_set.speakers, OPS)


def _new(options: argparse.Namespace, settings: Settings) -> int:
    owners = _owners(options.application)
    if unknown := [name for name in options.names if name not in {*owners, "all"}]:
        raise UserError(f"keys new: nobody who signs is named {unknown[0][:100]!r}; there are {', '.join(owners)}")
    names = owners if "all" in options.names else tuple(dict.fromkeys(options.names))
    if len(names) > 1 and "{service}" not in settings.signing_key:
        raise UserError("SAGA_SIGNING_KEY: names one file; with {service} in it there is one for each")
    with needing("signing"):
        from choregraphie.signing.key_files import KeyFiles
    files = KeyFiles.of(settings)
    for name in names:
        private, public = files.make(name, following=options.next)
        print(f"{name}: {private}, {public}")
    return 0


def _list(options: argparse.Namespace, settings: Settings) -> int:
    """The public keys of SAGA_SIGNING_PUBLIC: whose each is, and whether its private key is here."""
    with needing("signing"):
        from choregraphie.signing.key_files import KeyFiles
    files = KeyFiles.of(settings)
    rows = [
        {"owner": owner, "id": id_, "signs_here": files.signs_with(owner, id_)}
        for id_, (owner, _) in sorted(files.public().items(), key=lambda item: (item[1][0], item[0]))
    ]
    if options.json:
        print(json.dumps(rows))
        return 0
    table = Fitted(Column("owner"), Column("key"), Column("private key"))
    for row in rows:
        table.add_row(str(row["owner"]), str(row["id"]), "here" if row["signs_here"] else "–")
    console_of().print(table)
    return 0
