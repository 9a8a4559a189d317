"""The orchestrated order saga on a real broker: a timeout, retries; and the two kinds kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.nemesis import gateway
from tests.support.held_gateway import held_gateway
from tests.support.saga_fixture import SERVICES, SPEAKERS, SagaFixture, saga_fixture
from tests.support.workers import services, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker

EXCHANGES = (
    *(f"{name}.events" for name in (*SPEAKERS, "orchestrateur")),
    *(f"{name}.commands" for name in SERVICES),
)
IN_ORDER = [
    *("commande.initiee", "stock.reserver", "stock.reserve", "paiement.debiter", "paiement.effectue"),
    *("commande.creer", "commande.annulee", "paiement.rembourser", "paiement.rembourse"),
    *("stock.liberer", "stock.libere"),
]

CREATED = ("commande.creee", "stock.vendre", "notification.envoyee")
# A machine that is slow must not make the payment late.
PATIENT = {"coordination": "orchestration", "step_timeouts": "paiement=600"}


@pytest.fixture
def orchestrated(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """The services of the saga in one process, without their orchestrator."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga"), **PATIENT) as saga:
        saga.start(*SERVICES).await_ready()
        yield saga


@pytest.fixture
def without_payment(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """The same without the payment service, whose gateway the test chooses."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga"), **PATIENT) as saga:
        saga.start(*(name for name in SERVICES if name != "paiement")).await_ready()
        yield saga


def test_a_refused_order_is_undone_in_reverse_one_step_after_another(orchestrated: SagaFixture) -> None:
    saga = orchestrated
    saga.start("orchestrateur").await_ready()
    saga.subscription = saga.foreign_client.subscribe(*EXCHANGES)
    refused = saga.order(client_id="CLIENT-666", produit_id="PROD-789", quantite=1, montant=120.00)
    published = saga.await_events(refused, *IN_ORDER, "notification.envoyee")
    causes = [published[type_].json["id"] for type_ in IN_ORDER[:-1]]
    assert [published[type_].json["causationid"] for type_ in IN_ORDER[1:]] == causes
    stock, paiement = saga.inspect_each("stock", "paiement")
    assert stock["produits"]["PROD-789"]["retenu"] == 0
    assert paiement["mouvements"]["remboursements"] == {"nombre": 1, "montant": 120.00}


def test_a_payment_that_does_not_answer_in_time_is_compensated_and_its_late_success_undone(
    without_payment: SagaFixture,
) -> None:
    saga = without_payment
    with held_gateway() as (held, url):
        saga.start("paiement", gateway=url, call_timeout=120).await_ready()
        saga.start("orchestrateur", step_timeouts="paiement=1").await_ready()
        saga.subscription = saga.foreign_client.subscribe(*EXCHANGES)
        order = saga.order()
        published = saga.await_events(order, "paiement.debiter", "commande.annulee", "paiement.rembourser")
        assert published["commande.annulee"].json["data"]["raison"] == "délai dépassé"
        held.debits.set()
        assert not {"paiement.rembourse", "stock.liberer"} & saga.await_events(order, "paiement.effectue").keys()
        held.refunds.set()
        published = saga.await_events(order, "paiement.rembourse", "stock.libere", "notification.envoyee")
    assert published["paiement.rembourse"].json["data"]["montant"] == 99.99
    assert published["stock.liberer"].json["causationid"] == published["paiement.rembourse"].json["id"]
    until(lambda: saga.inspect("orchestrateur")["commande"].get("COMPENSATED") == 1, "it is compensated")
    stock, paiement = saga.inspect_each("stock", "paiement")
    assert stock["produits"]["PROD-456"]["retenu"] == 0
    assert paiement["mouvements"]["remboursements"] == {"nombre": 1, "montant": 99.99}


def test_an_unstable_gateway_succeeds_at_the_third_try(without_payment: SagaFixture) -> None:
    saga = without_payment
    unstable = gateway.Gateway()
    try:
        # Each try makes its call twice.
        unstable.behave(*[gateway.FAIL] * 4)
        paiement = saga.start("paiement", gateway=unstable.url)
        paiement.await_ready()
        saga.start("orchestrateur").await_ready()
        saga.subscription = saga.foreign_client.subscribe(*EXCHANGES)
        saga.await_events(saga.order(), *CREATED)
    finally:
        unstable.close()
    # By the declared delay, whatever SAGA_RETRY_DELAYS says.
    retried = paiement.logged("message.retried")
    assert [(line["attempt"], line["seconds"]) for line in retried] == [(1, 1), (2, 1)]
    assert len(unstable.charges()) == 1
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1


def test_a_worker_of_the_other_kind_refuses_the_virtual_host_in_one_line(orchestrated: SagaFixture) -> None:
    settings = orchestrated.settings | {"database_url": "sqlite://"}
    refused = services("run", "stock", **settings | {"coordination": "choreography"})
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "services: SAGA_COORDINATION: workers of the other kind, orchestration, use this virtual host (it has"
        " stock.commands); set SAGA_COORDINATION=orchestration, or name another virtual host in SAGA_AMQP_URL"
    )


def test_an_orchestrator_refuses_the_virtual_host_of_a_choreography_in_one_line(stopped_saga: SagaFixture) -> None:
    stopped_saga.start("stock").await_ready()
    settings = stopped_saga.settings | {"database_url": "sqlite://", "coordination": "orchestration"}
    refused = services("topology", "apply", **settings)
    assert refused.returncode == 2
    assert (
        "workers of the other kind, choreography, use this virtual host (it has stock.inbox and no"
        in refused.stderr
    )
