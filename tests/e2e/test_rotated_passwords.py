"""A password changed while a program runs: the new one is read from its file, or the program ends and says why."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.private_postgres import private_postgres
from tests.support.pgbouncer import private_pgbouncer
from tests.support.saga_fixture import SERVICES
from tests.support.workers import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture

ALL = {"configure": ".*", "write": ".*", "read": ".*"}


def url_of(saga: SagaFixture, broker: Broker, user: str, password: str) -> str:
    place = broker.authority.rpartition("@")[2]
    return f"amqp://{user}:{password}@{place}/{saga.management.vhost}"


def test_a_worker_takes_the_new_password_from_its_file(
    stopped_saga: SagaFixture, broker: Broker, tmp_path: Path
) -> None:
    saga, secret = stopped_saga, tmp_path / "url"
    with saga.management.identity(**ALL) as login:
        user, _, password = login.partition(":")
        secret.write_text(url_of(saga, broker, user, password))
        del saga.settings["amqp_url"]
        saga.settings["amqp_url_file"] = secret
        worker = saga.start(*SERVICES)
        worker.await_ready()
        saga.management.set_password(user, "neu-4711")
        for name in ("publishes", "consumes"):
            saga.management.close_connections(name, at_least=4)
        until(lambda: bool(worker.logged("session.lost")), "the loss is logged")
        secret.write_text(url_of(saga, broker, user, "neu-4711") + "\n")
        worker.await_ready(times=2)
        saga.subscription = saga.foreign_client.subscribe("commande.events")
        saga.await_events(saga.order(), "commande.creee")
        assert "4711" not in worker.output()
        assert worker.logged("secret.reloaded")[0]["setting"] == "SAGA_AMQP_URL_FILE"


def test_a_worker_whose_password_stays_refused_ends_and_says_why(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    with saga.management.identity(**ALL) as login:
        user, _, password = login.partition(":")
        worker = saga.start("stock", amqp_url=url_of(saga, broker, user, password))
        worker.await_ready()
        saga.management.set_password(user, "neu-4711")
        saga.management.close_connections("stock", at_least=2)
        until(lambda: worker.exit_code is not None, "it ends", within_seconds=150)
        *before, last = worker.output().splitlines()
    assert worker.exit_code == 2
    assert [line for line in before if not line.startswith("{")] == []
    assert last.startswith("services: SAGA_AMQP_URL, ")
    assert "refused for 60 s" in last


@pytest.mark.parametrize("in_file", [True, False])
def test_a_password_of_postgresql_is_read_again_or_ends_the_worker(
    stopped_saga: SagaFixture, tmp_path: Path, in_file: bool
) -> None:
    saga, secret = stopped_saga, tmp_path / "database"
    with private_postgres() as server:
        server.create("stock")
        old = server.url("{service}")
        secret.write_text(old)
        del saga.settings["database_url"]
        given = {"database_url_file": secret} if in_file else {"database_url": old}
        worker = saga.start("stock", **given)
        worker.await_ready()
        server.change_password("stock", "neu-4711")
        secret.write_text(old.replace(server.password, "neu-4711"))
        saga.order()
        if in_file:
            until(lambda: saga.foreign_client.count("paiement.inbox") == 1, "it is carried out")
            assert worker.exit_code is None
            assert worker.logged("secret.reloaded")[0]["setting"] == "SAGA_DATABASE_URL_FILE"
        else:
            until(lambda: worker.exit_code is not None, "it ends", within_seconds=150)
            assert worker.exit_code == 2
            assert worker.output().splitlines()[-1].startswith("services: SAGA_DATABASE_URL: ")
        assert "4711" not in worker.output()


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5"])
@pytest.mark.parametrize("rewritten", [True, False])
def test_a_password_changed_at_a_pooler_is_read_again_or_ends_the_worker(
    stopped_saga: SagaFixture, tmp_path: Path, rewritten: bool, auth_type: str
) -> None:
    saga, secret = stopped_saga, tmp_path / "database"
    with private_postgres() as server, private_pgbouncer(server, auth_type=auth_type) as pooler:
        server.create("stock")
        old = pooler.url("{service}")
        secret.write_text(old)
        del saga.settings["database_url"]
        worker = saga.start("stock", database_url_file=secret)
        worker.await_ready()
        pooler.change_password("neu-4711")
        server.change_password("stock", "neu-4711")
        if rewritten:
            secret.write_text(old.replace(server.password, "neu-4711"))
            saga.order()
            until(lambda: saga.foreign_client.count("paiement.inbox") == 1, "it is carried out")
            assert worker.exit_code is None
            assert worker.logged("secret.reloaded")[0]["setting"] == "SAGA_DATABASE_URL_FILE"
        else:
            until(lambda: worker.exit_code is not None, "it ends", within_seconds=150)
            assert worker.exit_code == 2
            *before, last = worker.output().splitlines()
            assert [line for line in before if not line.startswith("{")] == []
            assert last.startswith("services: SAGA_DATABASE_URL: ")
            assert "refused for 60 s" in last
        assert "4711" not in worker.output()


def test_a_server_that_stays_away_behind_its_pooler_ends_no_worker(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    with private_postgres() as server, private_pgbouncer(server, query_wait_timeout="5") as pooler:
        server.create("stock")
        worker = saga.start("stock", database_url=pooler.url("{service}"))
        worker.await_ready()
        server.kill()
        saga.order()
        # Longer than a refused login may be refused; the pooler refuses at each try.
        until(lambda: len(worker.logged("database.unavailable")) >= 2, "it has trouble")
        first = worker.logged("database.unavailable")[0]["timestamp"]
        until(
            lambda: seconds_between(first, worker.logged("database.unavailable")[-1]["timestamp"]) > 75,
            "it has tried for longer than a login may be refused",
            within_seconds=150,
        )
        assert worker.exit_code is None
        server.start()
        until(lambda: saga.foreign_client.count("paiement.inbox") == 1, "it is carried out")


def seconds_between(earlier: str, later: str) -> float:
    return (dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)).total_seconds()
