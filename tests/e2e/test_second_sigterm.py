"""A second SIGTERM ends a worker at once; what it had in hand is delivered again and done once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.workers import services, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture
    from tests.support.workers import Worker


def test_a_second_sigterm_ends_a_worker_at_once_and_loses_nothing(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    slow = saga.start("paiement", gateway_latency=60, call_timeout=60)
    saga.start("stock", "commande", "notification").await_ready()
    slow.await_ready()
    saga.subscription = saga.foreign_client.subscribe("client.events", "stock.events", "commande.events")
    order = saga.order()
    saga.await_events(order, "stock.reserve")
    until(lambda: "begun" in under_way(saga, order), "the call is under way")
    # Signalled repeatedly: two signals at once may be taken for one, and the broker does not show that the first
    # was obeyed (a quorum queue counts a cancelled consumer while it has deliveries in hand).
    until(lambda: signal_again(slow), "it has left")
    assert slow.exit_code == 1
    assert slow.logged("worker.forced_exit")
    assert "Traceback" not in slow.output()
    saga.start("paiement").await_ready()
    saga.await_events(order, "commande.creee")
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1
    assert saga.foreign_client.count("paiement.dlq") == 0


def signal_again(worker: Worker) -> bool:
    if worker.exit_code is None:
        worker.signal(signal.SIGTERM)
    return worker.exit_code is not None


def under_way(saga: SagaFixture, order: str) -> str:
    return services("journal", order, "--service", "paiement", "--json", **saga.settings).stdout
