"""Two workers of every service behind PgBouncer: as Debian ships it, and in transaction mode."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from scripts.nemesis.private_postgres import private_postgres
from tests.support.pgbouncer import private_pgbouncer
from tests.support.saga_fixture import SERVICES

if TYPE_CHECKING:
    from tests.support.foreign_client import ReceivedMessage
    from tests.support.saga_fixture import SagaFixture

ORDERS = 60

POOLERS = {
    "as Debian ships it": {},
    "session mode, options ignored": {"ignore_startup_parameters": "options"},
    "transaction mode": {"pool_mode": "transaction", "default_pool_size": "2"},
    "transaction mode, options ignored": {
        "pool_mode": "transaction",
        "default_pool_size": "2",
        "ignore_startup_parameters": "options",
    },
}


def ended(received: list[ReceivedMessage]) -> set[str]:
    return {
        message.json["subject"] for message in received if message.key in {"commande.creee", "commande.annulee"}
    }


@pytest.mark.parametrize("settings", POOLERS.values(), ids=POOLERS)
def test_two_workers_of_each_service_carry_out_every_order_once(
    stopped_saga: SagaFixture, settings: dict[str, str]
) -> None:
    saga = stopped_saga
    with (
        private_postgres() as server,
        private_pgbouncer(server, **settings) as pooler,
        contextlib.ExitStack() as ending,
    ):
        for service in SERVICES:
            server.create(service)
        # Two workers of a service share server sessions: one finds the prepared statements that the other left.
        saga.settings["database_url"] = pooler.url("{service}")
        # The order of the names differs, because it is the name of the log.
        first, second = saga.start(*SERVICES), saga.start(*reversed(SERVICES))
        ending.callback(first.kill)
        for worker in (first, second):
            worker.await_ready()
        saga.subscription = saga.foreign_client.subscribe("client.events", "commande.events")
        orders = {saga.order(quantite=1, montant=1) for _ in range(ORDERS)}
        saga.subscription.until(lambda received: orders <= ended(received), 240)
        assert saga.inspect("stock")["produits"]["PROD-456"]["disponible"] == 1000 - ORDERS
        assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == ORDERS
        assert all(saga.foreign_client.count(f"{service}.dlq") == 0 for service in SERVICES)
        for worker in (first, second):
            assert worker.exit_code is None
            assert worker.end() == 0
            assert "Traceback" not in worker.output()
            assert not worker.logged("reaction.failed")
        with psycopg.connect(server.url("stock")) as connection:
            assert connection.execute("SELECT count(*) FROM outbox WHERE said_at IS NULL").fetchone() == (0,)
