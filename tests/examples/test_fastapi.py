"""The shop on FastAPI, as a process, with a real PostgreSQL, broker and monitor."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx
import psycopg
import pytest

from choregraphie.failpoints import Place
from tests.saga_monitor.web.test_serving import environment as monitor_environment
from tests.saga_monitor.web.test_serving import running as monitor_running
from tests.support.saga_fixture import saga_fixture
from tests.support.topology import declare_topology_at
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.brokers import Broker
    from tests.support.foreign_client import ForeignClient, Subscription

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"
COMMANDE = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}


class Shop:
    """The application in a process of its own, on a free port."""

    def __init__(self, log: Path, database: str, amqp_url: str, **more: str) -> None:
        self._log = log
        self._env = environment(amqp_url=amqp_url) | {"BOUTIQUE_DATABASE_URL": database} | more
        self._began = log.stat().st_size if log.exists() else 0
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--app-dir",
            "examples/fastapi",
            "boutique.app:app",
            "--port",
            "0",
        ]
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=out, stderr=out)

    def __enter__(self) -> Self:
        until(lambda: self._address() is not None, f"it serves; its log: {self.output()}")
        self.client = httpx.Client(base_url=self._address() or "", timeout=40)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self._log.read_text(errors="replace")[self._began :]

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.output()
        found = re.search(r"running on (http://\S+)", self.output())
        return found[1] if found else None

    def order(self, **more: Any) -> httpx.Response:
        return self.client.post("/commandes", json=COMMANDE | more)


class Database:
    """What the shop has written."""

    def __init__(self, url: str) -> None:
        self.url = url

    def count(self, table: str, which: str = "true") -> int:
        with psycopg.connect(self.url) as connection:
            query = psycopg.sql.SQL(f"SELECT count(*) FROM {table} WHERE {which}")
            (found,) = connection.execute(query).fetchone() or (0,)
        return int(found)

    @property
    def pending(self) -> int:
        return self.count("choregraphie_outbox", "published_at IS NULL")


@pytest.fixture
def database(postgres: PrivatePostgres) -> Database:
    name = f"boutique_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    return Database(postgres.url(name))


@pytest.fixture
def heard(amqp_url: str, foreign_client: ForeignClient) -> Subscription:
    declare_topology_at(amqp_url)
    return foreign_client.subscribe("client.events")


@pytest.fixture
def shop(tmp_path: Path, database: Database, amqp_url: str, heard: Subscription) -> Iterator[Shop]:
    with Shop(tmp_path / "shop.log", database.url, amqp_url, BOUTIQUE_MONITOR_URL="http://127.0.0.1:1") as ready:
        yield ready


def test_an_order_is_kept_and_its_saga_begins(shop: Shop, database: Database, heard: Subscription) -> None:
    answer = shop.order()
    id_ = answer.json()["commande_id"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/commandes/{id_}")
    (message,) = heard.count(1)
    assert message.json["data"] == {"commande_id": id_, **COMMANDE}
    assert message.json["source"] == "/clients/boutique"
    assert database.count("commandes", f"id = '{id_}'") == 1
    until(lambda: database.pending == 0, "the event is marked")


def test_a_rule_that_refuses_leaves_nothing(shop: Shop, database: Database, heard: Subscription) -> None:
    assert shop.order(montant=9_999).status_code == 202
    answer = shop.order(montant=1.01)
    assert answer.status_code == 409
    assert answer.json() == {"detail": "CLIENT-123 may order for 10000.00 in all"}
    assert shop.order(client_id="CLIENT-456", montant=1.01).status_code == 202
    assert {message.json["data"]["client_id"] for message in heard.count(2)} == {"CLIENT-123", "CLIENT-456"}
    assert (database.count("commandes"), database.count("choregraphie_outbox")) == (2, 2)


@pytest.mark.parametrize(
    "wrong", [{"quantite": 0}, {"montant": 1.001}, {"montant": "x"}, {"client_id": ""}, {"produit_id": "a\nb"}]
)
def test_a_request_that_cannot_be_is_refused_and_leaves_nothing(
    shop: Shop, database: Database, wrong: dict[str, Any]
) -> None:
    assert shop.order(**wrong).status_code == 422
    assert (database.count("commandes"), database.count("choregraphie_outbox")) == (0, 0)


@pytest.mark.parametrize(("place", "publications"), [(Place.BEFORE_RELAY, 1), (Place.AFTER_RELAY, 2)])
def test_killed_between_the_commit_and_the_mark_it_says_the_event_once_by_its_id(
    tmp_path: Path, database: Database, amqp_url: str, heard: Subscription, place: Place, publications: int
) -> None:
    log = tmp_path / "shop.log"
    with Shop(log, database.url, amqp_url, SAGA_FAILPOINT=place) as shop:
        with contextlib.suppress(httpx.HTTPError):
            # The relay may be faster than the answer; the order is committed all the same.
            shop.order()
        assert shop.process.wait(90) == -signal.SIGKILL
    assert (database.count("commandes"), database.pending) == (1, 1)
    with Shop(log, database.url, amqp_url):
        received = heard.count(publications)
        until(lambda: database.pending == 0, "the event is marked")
    assert len({(message.json["source"], message.json["id"]) for message in received}) == 1
    assert len({message.body for message in received}) == 1
    assert len(heard.during(0.2)) == publications


def test_orders_are_taken_while_the_broker_is_away(tmp_path: Path, database: Database) -> None:
    with Shop(tmp_path / "shop.log", database.url, NOWHERE) as shop:
        assert shop.order().status_code == 202
        until(lambda: shop.client.get("/readyz").status_code == 503, "it says that nothing is published")
        assert "127.0.0.1:1" in shop.client.get("/readyz").json()["relay"]
        shop.process.send_signal(signal.SIGTERM)
        assert shop.process.wait(90) == -signal.SIGTERM
    assert database.pending == 1
    assert "Traceback" not in shop.output()


def test_an_order_that_nobody_placed_is_a_404(shop: Shop) -> None:
    answer = shop.client.get("/commandes/CMD-NONE")
    assert (answer.status_code, answer.json()) == (404, {"detail": "there is no order CMD-NONE"})
    assert shop.client.get("/commandes/CMD-NONE?wait=31").status_code == 422


def test_while_the_monitor_is_away_an_order_has_no_state(shop: Shop) -> None:
    found = shop.client.get(f"{shop.order().headers['location']}?wait=0.1").json()
    assert (found["state"], found["terminal"]) == (None, False)
    assert "http://127.0.0.1:1" in found["detail"]


def test_the_outcome_of_an_order_is_waited_for(tmp_path: Path, broker: Broker, database: Database) -> None:
    with contextlib.ExitStack() as stack:
        saga = stack.enter_context(saga_fixture(broker, tmp_path))
        saga.start_all()
        env = monitor_environment(tmp_path, saga.url, SAGA_MONITOR_TOKEN="sesame")
        url, _ = stack.enter_context(monitor_running(env))
        more = {"BOUTIQUE_MONITOR_URL": url, "SAGA_MONITOR_TOKEN": "sesame"}
        shop = stack.enter_context(Shop(tmp_path / "shop.log", database.url, saga.url, **more))
        created, refused = shop.order(), shop.order(produit_id="PROD-999", quantite=5, montant=49.99)
        found = shop.client.get(f"{created.headers['location']}?wait=30").json()
        assert (found["state"], found["terminal"], found["success"]) == ("COMPLETED", True, True)
        found = shop.client.get(f"{refused.headers['location']}?wait=30").json()
        assert (found["state"], found["terminal"], found["success"]) == ("COMPENSATED", True, False)
        assert found["reason"]
