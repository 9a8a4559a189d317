"""The orchestrated order saga on a real broker, and the two kinds kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES, SPEAKERS, SagaFixture, saga_fixture
from tests.support.workers import services

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


@pytest.fixture
def orchestrated(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """The services of the saga in one process, without their orchestrator."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga"), coordination="orchestration") as saga:
        saga.start(*SERVICES).await_ready()
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
