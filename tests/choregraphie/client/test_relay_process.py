"""`relay` as a command: once, until SIGTERM, and killed between the commit and the mark."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.client import say
from choregraphie.failpoints import Place
from tests.choregraphie.client.test_relay import decide, pending
from tests.choregraphie.client.test_say import commande
from tests.support.topology import declare_topology_at
from tests.support.workers import ROOT, environment, services, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.support.foreign_client import ForeignClient, Subscription


@pytest.fixture
def heard(amqp_url: str, foreign_client: ForeignClient) -> Subscription:
    declare_topology_at(amqp_url)
    return foreign_client.subscribe("client.events")


@contextlib.contextmanager
def relay(log: Path, *arguments: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "services", "relay", *arguments]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(**settings), stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_is_pending_is_published_once(
    engine: Engine, client_url: str, amqp_url: str, heard: Subscription
) -> None:
    decide(engine, "CMD-1", "CMD-2")
    settings = {"amqp_url": amqp_url, "database_url": client_url}
    assert json.loads(services("relay", "--once", "--json", **settings).stdout) == {"published": 2, "left": 0}
    done = services("relay", "--once", "--database", client_url, amqp_url=amqp_url)
    assert (done.returncode, done.stdout) == (0, "0 published, 0 left\n")
    assert [message.json["subject"] for message in heard.count(2)] == ["CMD-1", "CMD-2"]


def test_what_the_broker_does_not_take_is_left_and_told(engine: Engine, client_url: str, amqp_url: str) -> None:
    decide(engine, "CMD-1")
    done = services("relay", "--once", amqp_url=amqp_url, database_url=client_url)
    assert (done.returncode, done.stdout) == (1, "0 published, 1 left\n")
    assert pending(engine) == 1


def test_a_relay_runs_until_it_is_asked_to_stop(
    engine: Engine, client_url: str, amqp_url: str, heard: Subscription, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with relay(log, amqp_url=amqp_url, database_url=client_url) as process:
        decide(engine, "CMD-1")
        heard.count(1)
        decide(engine, *[f"CMD-{number}" for number in range(2, 400)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert pending(engine) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(("place", "publications"), [(Place.BEFORE_RELAY, 1), (Place.AFTER_RELAY, 2)])
def test_a_relay_that_is_killed_says_each_event_once_by_its_id(
    engine: Engine,
    client_url: str,
    amqp_url: str,
    heard: Subscription,
    tmp_path: Path,
    place: Place,
    publications: int,
) -> None:
    """Killed after its confirm, it says the event again: the same bytes, which the inboxes ignore."""
    settings = {"amqp_url": amqp_url, "database_url": client_url}
    with engine.begin() as connection:
        id_ = say(connection, commande("CMD-1"), source="/clients/boutique")
    with relay(tmp_path / "log", **settings, failpoint=place) as process:
        assert process.wait(90) == -signal.SIGKILL
    assert pending(engine) == 1
    assert services("relay", "--once", **settings).returncode == 0
    received = heard.count(publications)
    assert {message.json["id"] for message in received} == {id_}
    assert len({message.body for message in received}) == 1
    assert pending(engine) == 0
    assert len(heard.during(0.2)) == publications


@pytest.mark.parametrize("arguments", [("--once",), ()])
def test_what_a_person_must_change_is_one_line(tmp_path: Path, amqp_url: str, arguments: tuple[str, ...]) -> None:
    (tmp_path / "empty.sqlite3").touch()
    for url, reason in (
        (f"sqlite:///{tmp_path}/nowhere.sqlite3", "no such database"),
        (f"sqlite:///{tmp_path}/empty.sqlite3", "no table choregraphie_outbox"),
        ("mysql://x", "SAGA_DATABASE_URL is no URL such as"),
    ):
        done = services("relay", *arguments, amqp_url=amqp_url, database_url=url)
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_wrong_password_of_the_database_is_one_line(engine: Engine, client_url: str, amqp_url: str) -> None:
    if engine.dialect.name == "sqlite":
        return
    wrong = client_url.replace(f":{engine.url.password}@", ":wrong@")
    done = services("relay", amqp_url=amqp_url, database_url=wrong)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "password authentication failed" in done.stderr


def test_once_without_a_broker_is_one_line(engine: Engine, client_url: str) -> None:
    done = services("relay", "--once", amqp_url="amqp://guest:guest@127.0.0.1:1/", database_url=client_url)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_json_goes_with_once() -> None:
    done = services("relay", "--json")
    assert (done.returncode, done.stderr) == (2, "services: --json goes with --once\n")


def test_a_relay_waits_for_a_broker_that_is_away(engine: Engine, client_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with relay(log, amqp_url="amqp://guest:guest@127.0.0.1:1/", database_url=client_url) as process:
        until(lambda: "relay.session_lost" in log.read_text(), "it says that the broker is away")
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
