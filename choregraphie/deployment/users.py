"""Makes the identities on a broker, through its management or through `rabbitmqctl`."""

import asyncio
import json
import shlex
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from choregraphie.amqp_url import broker_address
from choregraphie.broker import import_definitions, management_rows
from choregraphie.deployment.definitions import user_definitions
from choregraphie.deployment.identities import Identity
from choregraphie.deployment.passwords import AMQP_URL, MANAGEMENT_URL, PASSWORD, PasswordFiles, new_password
from choregraphie.errors import BadSetting, BrokerRefused, BrokerUnavailable, UserError
from choregraphie.settings import Settings

RABBITMQCTL_SECONDS = 120


class TakenUser(UserError):
    """A user is on the broker already, and its password is not known here."""


@dataclass(frozen=True)
class Administration:
    """A way to administer the users of a broker.

    names     what exists: `users` or `vhosts`
    take_over has the broker take over a definitions document
    """

    names: Callable[[str], set[str]]
    take_over: Callable[[Mapping[str, Any]], None]


def through_management(settings: Settings) -> Administration:
    """Through SAGA_MANAGEMENT_URL, whose user must be an administrator. Raises BadSetting when it is not set."""
    if not settings.management_url:
        raise BadSetting("SAGA_MANAGEMENT_URL, with an administrator in it, is not set; or give --rabbitmqctl")

    def names(what: str) -> set[str]:
        return {
            str(row.get("name")) for row in asyncio.run(management_rows(settings, what, "name", of_vhost=False))
        }

    return Administration(names, lambda document: asyncio.run(import_definitions(settings, document)))


def through_rabbitmqctl(command: str) -> Administration:
    """Through `command`, such as `rabbitmqctl` or `ssh broker sudo rabbitmqctl`."""

    def run(*arguments: str, given: str = "") -> str:
        words = [*shlex.split(command), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - the command of the person who types it
                words, input=given, capture_output=True, text=True, timeout=RABBITMQCTL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrokerUnavailable(f"{words[0]}: {getattr(error, 'strerror', None) or 'no answer'}") from None
        if done.returncode:
            text = " ".join((done.stderr or done.stdout).split())[:300]
            raise BrokerRefused(f"{words[0]} {arguments[0]}: {text or f'exit code {done.returncode}'}")
        return done.stdout

    def names(what: str) -> set[str]:
        field = {"users": "user", "vhosts": "name"}[what]
        try:
            return {str(row[field]) for row in json.loads(run(f"list_{what}", "--formatter", "json"))}
        except (ValueError, KeyError, TypeError):
            raise BrokerUnavailable(f"{command} list_{what} answers no list") from None

    def take_over(document: Mapping[str, Any]) -> None:
        run("import_definitions", given=json.dumps(document))

    return Administration(names, take_over)


def make_users(
    known: Sequence[Identity],
    settings: Settings,
    administration: Administration,
    files: PasswordFiles,
    *,
    rotate: Collection[str] = (),
    prefix: str = "",
) -> dict[str, bool]:
    """Make each of `known` on the broker and write its files; whether its password is new, by its name.

    A password that has its file stays, except of those in `rotate`. The virtual host is made when it is missing.
    Raises TakenUser when a user is there already and has no file here, BrokerRefused, BrokerUnavailable and
    PasswordFile; the command may then be repeated.
    """
    passwords = {one.name: kept for one in known if one.name not in rotate and (kept := files.read(one.name))}
    made = {one.name: new_password() for one in known if one.name not in passwords}
    _check_not_taken({*made}.difference(rotate), prefix, administration, files)
    files.check_writable([*made])
    vhost = broker_address(settings.current("amqp_url")).vhost
    document = user_definitions(known, vhost, passwords | made, prefix)
    if vhost not in administration.names("vhosts"):
        document["vhosts"] = [{"name": vhost}]
    contents = {one.name: _contents(one, (passwords | made)[one.name], settings, prefix) for one in known}
    # Written before, the password of a new user is known whatever happens; one that is rotated counts until after.
    _write({name: content for name, content in contents.items() if name not in rotate}, files)
    administration.take_over(document)
    _write({name: content for name, content in contents.items() if name in rotate}, files)
    return {one.name: one.name in made for one in known}


def _write(contents: Mapping[str, dict[str, str]], files: PasswordFiles) -> None:
    for name, content in contents.items():
        files.write(name, content)


def _check_not_taken(
    new: Collection[str], prefix: str, administration: Administration, files: PasswordFiles
) -> None:
    users = administration.names("users")
    for name in sorted(new):
        if f"{prefix}{name}" in users:
            raise TakenUser(
                f"the broker has a user {prefix}{name}, and {files.folder} has no password of it; --rotate {name}"
                " gives it a new one, --prefix makes users of other names"
            )


def _contents(identity: Identity, password: str, settings: Settings, prefix: str) -> dict[str, str]:
    login = f"{quote(prefix + identity.name, safe='')}:{quote(password, safe='')}"
    contents = {PASSWORD: password, AMQP_URL: _with_login(settings.current("amqp_url"), login)}
    if identity.tags and settings.management_url:
        contents[MANAGEMENT_URL] = _with_login(settings.current("management_url"), login)
    return contents


def _with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))
