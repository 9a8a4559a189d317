"""Real workers wait for a PostgreSQL that is away at their start or later, and then go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis.private_postgres import private_postgres
from tests.support.saga_fixture import SERVICES
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


def test_a_worker_waits_for_postgresql_at_its_start_and_later(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    with private_postgres() as server:
        for service in SERVICES:
            server.create(service)
        server.kill()
        saga.settings["database_url"] = server.url("{service}")
        worker = saga.start(*SERVICES)
        until(lambda: bool(worker.logged("database.unavailable")), "it is logged")
        assert worker.exit_code is None
        server.start()
        worker.await_ready()
        saga.subscription = saga.foreign_client.subscribe("client.events", "commande.events")
        saga.await_events(saga.order(), "commande.creee")

        server.kill()
        orders = [saga.order(quantite=1, montant=1) for _ in range(5)]
        until(lambda: bool(worker.logged("database.unavailable")), "the trouble is logged")
        server.start()
        for order in orders:
            saga.await_events(order, "commande.creee", repeated=True)
        assert server.password not in worker.output()
        assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 6
        assert all(saga.foreign_client.count(f"{service}.dlq") == 0 for service in SERVICES)
        assert worker.end() == 0
