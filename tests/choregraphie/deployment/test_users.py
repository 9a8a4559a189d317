"""`topology users`: the files that it writes, the passwords that it keeps, and the mistakes that it refuses."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.deployment import identities
from choregraphie.errors import BadApplication
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import topology
from choregraphie.settings import Settings
from contracts.choreography import CHOREOGRAPHY
from tests.choregraphie.deployment.conftest import command
from tests.support.foreign_client import ForeignClient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.choregraphie.deployment.conftest import Operator, Parts


def test_only_their_owner_can_read_the_passwords(parts: Parts) -> None:
    files = [path for path in parts.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"password", "amqp-url", "management-url"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o400}
    assert {stat.S_IMODE(path.stat().st_mode) for path in parts.folder.iterdir()} == {0o700}
    passwords = [path.read_text() for path in files if path.name == "password"]
    assert len(set(passwords)) == len(passwords) == 8
    assert all(len(password.strip()) >= 43 for password in passwords)


def test_a_password_stays_until_it_is_rotated(operator: Operator, parts: Parts) -> None:
    before = {name: parts.url(name) for name in ("stock", "client")}
    users = ("users", "--into", str(parts.folder), "--prefix", parts.prefix, "--json")
    assert {one["new"] for one in operator.topology(*users).json} == {False}
    assert {name: parts.url(name) for name in before} == before
    rotated = operator.topology(*users, "--rotate", "client").json
    assert [one["name"] for one in rotated if one["new"]] == [f"{parts.prefix}client"]
    assert parts.url("stock") == before["stock"]
    with ForeignClient(parts.url("client")) as client:
        assert client.publish("client.events", "commande.initiee", b"{}")


def test_a_password_of_ones_own_is_used_whatever_it_holds(operator: Operator, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "password").write_text("a/b@c:d e\n")
    assert operator.topology("users", "--into", str(tmp_path), "--prefix", prefix).code == 0
    ForeignClient((tmp_path / "stock" / "amqp-url").read_text().strip()).close()


def test_the_password_of_a_user_that_others_made_is_not_changed(
    operator: Operator, parts: Parts, tmp_path: Path
) -> None:
    done = operator.topology("users", "--into", str(tmp_path / "elsewhere"), "--prefix", parts.prefix)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"the broker has a user {parts.prefix}client" in done.err
    assert "--rotate client" in done.err
    with ForeignClient(parts.url("client")) as client:
        assert client.publish("client.events", "commande.initiee", b"{}")


def test_a_folder_that_cannot_be_written_leaves_the_broker_as_it_is(
    operator: Operator, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "users").write_text("a file")
    done = operator.topology("users", "--into", str(tmp_path / "users"), "--prefix", prefix)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert not [user for user in operator.management.users() if user["name"].startswith(prefix)]


@pytest.mark.parametrize(
    ("arguments", "settings", "word"),
    [
        (("--rotate", "nobody"), {"management_url": "http://u:p@127.0.0.1:1"}, "there is no nobody"),
        ((), {}, "SAGA_MANAGEMENT_URL, with an administrator in it"),
        ((), {"management_url": "http://u:p@127.0.0.1:1"}, "does not answer"),
        (("--rabbitmqctl", "/nowhere/rabbitmqctl"), {}, "No such file"),
        (("--rabbitmqctl", "false"), {}, "false list_users"),
        (("--rabbitmqctl", "echo"), {}, "answers no list"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, Any], word: str
) -> None:
    done = command("topology", "users", "--into", str(tmp_path / "users"), *arguments, **settings)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert word in done.err


def test_a_user_who_is_no_administrator_is_told_so(operator: Operator, parts: Parts, tmp_path: Path) -> None:
    settings = parts.settings("ops")
    done = command("topology", "users", "--into", str(tmp_path / "other"), "--prefix", "x.", **settings)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "HTTP 401" in done.err or "HTTP 403" in done.err


def test_a_service_with_the_name_of_another_user_is_refused() -> None:
    steps = tuple(replace(step, service="ops") if step.service == "stock" else step for step in CHOREOGRAPHY.steps)
    sagas = SagaSet((replace(CHOREOGRAPHY, steps=steps),))
    with pytest.raises(BadApplication, match="ops"):
        identities(sagas, topology(sagas, Settings().retry_delays))
