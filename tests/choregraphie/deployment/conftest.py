"""The command line run in this process, and a virtual host with the topology of the order saga."""

from __future__ import annotations

import contextlib
import io
import json
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest

from choregraphie.cli.main import main
from services.application import APP
from tests.support.workers import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from choregraphie import Application
    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: str, application: Application = APP, **settings: Any) -> Done:
    """Run the command line of an application in this process, with these settings alone."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(**settings), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(application, arguments)
        except SystemExit as left:
            code = int(str(left.code))
    return Done(code, out.getvalue(), err.getvalue())


# Fewer delay queues are made faster.
DELAYS = "1,5"


@dataclass
class Operator:
    """The administrator of one virtual host, which has the topology of the order saga."""

    management: Management
    settings: dict[str, Any]

    def topology(self, *arguments: str, **more: Any) -> Done:
        return command("topology", *arguments, **self.settings | more)

    def differences(self, *arguments: str, **more: Any) -> set[tuple[str, str]]:
        """The kind and the subject of each difference that `topology check` finds."""
        done = self.topology("check", "--json", *arguments, **more)
        assert done.code == (1 if done.json else 0), done.err
        assert all(one["what"] and one["remedy"] for one in done.json)
        return {(one["kind"], one["subject"]) for one in done.json}


def operator_of(broker: Broker, management: Management) -> Operator:
    """The administrator of the virtual host of `management`."""
    urls = {"amqp_url": broker.url(management.vhost), "management_url": broker.management_login_url}
    return Operator(management, urls | {"retry_delays": DELAYS})


@pytest.fixture
def empty(broker: Broker, management: Management) -> Operator:
    """The administrator of a virtual host in which there is nothing."""
    return operator_of(broker, management)


@pytest.fixture
def operator(empty: Operator) -> Operator:
    assert empty.topology("apply").code == 0
    return empty


@contextlib.contextmanager
def users_begin(management: Management) -> Iterator[str]:
    """A beginning of names for users, which are deleted afterwards: users are of the whole broker."""
    name = f"t{uuid.uuid4().hex[:8]}."
    yield name
    for user in management.users():
        if user["name"].startswith(name):
            management.delete_user(user["name"])


@dataclass
class Parts:
    """The users that `topology users` made, with their files."""

    folder: Path
    prefix: str

    def settings(self, name: str) -> dict[str, Any]:
        """What the part `name` runs with: its own user, and no right to declare."""
        files = {"amqp_url_file": self.folder / name / "amqp-url", "topology": "passive", "retry_delays": DELAYS}
        management = self.folder / name / "management-url"
        return files | ({"management_url_file": management} if management.exists() else {})

    def url(self, name: str) -> str:
        return (self.folder / name / "amqp-url").read_text().strip()


@pytest.fixture
def prefix(management: Management) -> Iterator[str]:
    with users_begin(management) as name:
        yield name


def parts_of(operator: Operator, folder: Path, prefix: str) -> Parts:
    """Make a user for each part."""
    done = operator.topology("users", "--into", str(folder), "--prefix", prefix)
    assert done.code == 0, done.err
    return Parts(folder, prefix)


@pytest.fixture
def parts(operator: Operator, prefix: str, tmp_path: Path) -> Parts:
    return parts_of(operator, tmp_path / "users", prefix)
