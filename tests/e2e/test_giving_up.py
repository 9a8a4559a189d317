"""A step that is given up publishes its refusal and leaves a dead letter; a compensation waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


def test_a_step_is_given_up_when_its_gateway_never_answers_and_undone_when_it_does(
    stopped_saga: SagaFixture,
) -> None:
    saga = stopped_saga
    broken = saga.start("paiement", gateway_failure_rate=1)
    others = saga.start("stock", "commande", "notification")
    for worker in (broken, others):
        worker.await_ready()
    saga.subscription = saga.foreign_client.subscribe(
        *(f"{name}.events" for name in ("client", "stock", "paiement", "commande"))
    )
    order = saga.order()

    published = saga.await_events(order, "paiement.echoue", "commande.annulee", "stock.libere")
    assert published["paiement.echoue"].json["data"]["raison"] == "abandon après 3 essais"
    assert published["paiement.echoue"].json["causationid"] == published["stock.reserve"].json["id"]
    dead_letters = [saga.foreign_client.get("paiement.dlq", within_seconds=90) for _ in range(2)]
    found = {dead_letter.key: dead_letter for dead_letter in dead_letters if dead_letter is not None}
    assert set(found) == {"stock.reserve", "commande.annulee"}
    for type_, dead_letter in found.items():
        assert dead_letter.body == published[type_].body
        assert dead_letter.headers["x-saga-reason"] == "exhausted"
        assert dead_letter.headers["x-saga-attempt"] == 3
        assert dead_letter.headers["x-saga-exchange"] == published[type_].exchange
        assert "ReponsePerdue" in dead_letter.headers["x-saga-detail"]
    assert "paiement.rembourse" not in saga.await_events(order)

    assert broken.end() == 0
    saga.start("paiement").await_ready()
    undoing = found["commande.annulee"]
    # As a redrive does it: the same bytes, to the one service that failed.
    assert saga.foreign_client.publish(
        "paiement.requeue", undoing.key, undoing.body, undoing.headers, delivery_mode=2
    )
    refund = saga.await_events(order, "paiement.rembourse")["paiement.rembourse"].json["data"]
    assert (refund["transaction_id"], refund["montant"]) == (None, 0)
    assert saga.foreign_client.publish("paiement.requeue", "stock.reserve", found["stock.reserve"].body, None)
    saga.await_events(saga.order(), "commande.creee")
    assert "paiement.effectue" not in saga.await_events(order)
    assert saga.inspect("paiement")["comptes"]["CLIENT-123"]["solde"] == 100_000 - 99.99


def test_a_lost_answer_costs_another_try_and_nothing_else(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    settings = {"gateway_failure_rate": 0.5, "retry_delays": ",".join(["0.05"] * 1 + ["0.1"] * 19)}
    saga.settings |= settings
    saga.start_all()
    # So many that at least one answer is lost.
    orders = [saga.order(montant=10) for _ in range(20)]
    for order in orders:
        saga.await_events(order, "commande.creee")
    comptes = saga.inspect("paiement")
    assert comptes["comptes"]["CLIENT-123"]["solde"] == 100_000 - 200
    assert comptes["mouvements"]["debits"] == {"nombre": 20, "montant": 200.0}
    assert saga.workers["paiement"].logged("call.failed")
    assert saga.foreign_client.count("paiement.dlq") == 0
