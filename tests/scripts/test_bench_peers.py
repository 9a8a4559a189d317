"""What the peers of the benchmark do alike: an order through their four databases, without a broker."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pamqp import frame
from pamqp.body import ContentBody

from scripts.benchmarks.peers.formats import FORMATS
from scripts.benchmarks.peers.reactions import Said, handled, hears, read, seed
from scripts.benchmarks.peers.sqlite_store import Store
from scripts.benchmarks.peers.tables import BUSINESS, MACHINERY, on_postgresql
from scripts.benchmarks.system.load import bodies, catalogue
from scripts.benchmarks.system.progress import DELIVERIES, Progress
from scripts.benchmarks.system.workers import SERVICES
from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from scripts.benchmarks.peers.reactions import Statement
    from scripts.nemesis.private_postgres import PrivatePostgres


class Peer:
    """The four services of a peer; what one says, the others hear."""

    def __init__(self, folder: Path) -> None:
        seed = catalogue(folder / "catalogue.toml")
        self.stores = {name: Store(name, folder / f"{name}.sqlite3", seed) for name in SERVICES}

    def hear(self, type_: str, body: bytes) -> list[str]:
        """The types of the events said in answer, and in answer to them."""
        said: list[Said] = []
        for name, store in self.stores.items():
            if type_ in hears(name):
                said += store.handle(read(type_, body), body)
        for one in said:
            self.stores[one.exchange.removesuffix(".events")].confirmed(one.id)
        return [*(one.type for one in said), *itertools.chain(*(self.hear(one.type, one.body) for one in said))]


def test_an_order_takes_six_deliveries_and_four_answers(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    (_, body), *_ = itertools.islice(bodies(), 1)
    assert peer.hear("commande.initiee", body) == [
        "stock.reserve",
        "paiement.effectue",
        "commande.creee",
        "notification.envoyee",
    ]
    progress = Progress(tmp_path)
    assert {name: progress.handled(name) for name in SERVICES} == DELIVERIES
    assert progress.all_handled(1)
    assert not progress.all_handled(2)
    progress.close()


def test_an_event_that_comes_twice_has_no_effect_and_no_answer(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    (_, body), *_ = itertools.islice(bodies(), 1)
    peer.hear("commande.initiee", body)
    assert peer.hear("commande.initiee", body) == []


def test_the_statements_of_a_peer_are_those_of_postgresql_too(tmp_path: Path, postgres: PrivatePostgres) -> None:
    seeds = tomllib.loads(catalogue(tmp_path / "catalogue.toml").read_text())
    waiting = [("commande.initiee", next(bodies())[1])]
    with contextlib.ExitStack() as stack:
        databases: dict[str, psycopg.Connection[Any]] = {}
        for name in SERVICES:
            postgres.create(f"bench_{name}")
            connection = psycopg.connect(postgres.url(f"bench_{name}"), autocommit=True)
            databases[name] = stack.enter_context(contextlib.closing(connection))
            connection.execute(on_postgresql(MACHINERY + BUSINESS[name]).encode())
            for statement, values in seed(name, seeds):
                connection.execute(statement.replace("?", "%s").encode(), values)
        heard: list[str] = []
        while waiting:
            type_, body = waiting.pop(0)
            heard.append(type_)
            for name in (name for name in SERVICES if type_ in hears(name)):
                said = carried_out(databases[name], handled(name, read(type_, body), body))
                waiting += [(one.type, one.body) for one in said]
                assert carried_out(databases[name], handled(name, read(type_, body), body)) == []
    assert heard == [
        "commande.initiee",
        "stock.reserve",
        "paiement.effectue",
        "commande.creee",
        "notification.envoyee",
    ]


def carried_out(connection: psycopg.Connection[Any], steps: Generator[Statement, Any, list[Said]]) -> list[Said]:
    row = None
    while True:
        try:
            statement, values = steps.send(row)
        except StopIteration as end:
            said: list[Said] = end.value
            return said
        cursor = connection.execute(statement.replace("?", "%s").encode(), values)
        row = cursor.fetchone() if cursor.description else None


def test_a_peer_loads_the_events_without_the_engine() -> None:
    code = (
        "import sys, json, scripts.benchmarks.peers.sqlite_store; "
        "print(json.dumps([name for name in ('sqlalchemy', 'structlog', 'aio_pika') if name in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ran.stdout) == []


@pytest.mark.parametrize(("name", "messages"), [("celery", 1), ("dramatiq", 2), ("taskiq", 1)])
def test_an_order_reaches_each_framework_in_its_own_messages(name: str, messages: int) -> None:
    _, body = next(bodies())
    rest, found = FORMATS[name](body), []
    while rest:
        used, _, one = frame.unmarshal(rest)
        found.append(one)
        rest = rest[used:]
    contents = [one.value for one in found if isinstance(one, ContentBody)]
    assert len(contents) == messages
    assert all(json.dumps(body.decode()).encode() in content for content in contents)
