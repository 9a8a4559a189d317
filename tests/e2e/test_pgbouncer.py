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
    from tests.support.foreign_client import Heard
    from tests.support.saga_fixture import Shop

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


def ended(heard: list[Heard]) -> set[str]:
    return {message.json["subject"] for message in heard if message.key in {"commande.creee", "commande.annulee"}}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("settings", POOLERS.values(), ids=POOLERS)
def test_two_workers_of_each_service_carry_out_every_order_once(
    closed_shop: Shop, settings: dict[str, str]
) -> None:
    shop = closed_shop
    with (
        private_postgres() as server,
        private_pgbouncer(server, **settings) as pooler,
        contextlib.ExitStack() as ending,
    ):
        for service in SERVICES:
            server.create(service)
        # Two of a kind on a server session that serves both: what one leaves there the other finds.
        shop.settings["database_url"] = pooler.url("{service}")
        # In another order, for the name of its log.
        first, second = shop.start(*SERVICES), shop.start(*reversed(SERVICES))
        ending.callback(first.kill)
        for worker in (first, second):
            worker.await_ready()
        shop.ear = shop.outsider.listen("client.events", "commande.events")
        orders = {shop.order(quantite=1, montant=1) for _ in range(ORDERS)}
        shop.ear.until(lambda heard: orders <= ended(heard), 90)
        assert shop.inspect("stock")["produits"]["PROD-456"]["disponible"] == 1000 - ORDERS
        assert shop.inspect("paiement")["mouvements"]["debits"]["nombre"] == ORDERS
        assert all(shop.outsider.count(f"{service}.dlq") == 0 for service in SERVICES)
        for worker in (first, second):
            assert worker.exit_code is None
            assert worker.end() == 0
            assert "Traceback" not in worker.output()
            assert not worker.logged("reaction.failed")
        with psycopg.connect(server.url("stock")) as connection:
            assert connection.execute("SELECT count(*) FROM outbox WHERE said_at IS NULL").fetchone() == (0,)
