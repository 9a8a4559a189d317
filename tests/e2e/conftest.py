"""Four workers for the whole session, shared by the tests that do not disturb them: starting them is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES, SagaFixture, saga_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker


@pytest.fixture(scope="session")
def running_saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """A ready worker process for each service. Their logs show each delivery."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga"), log_level="debug") as ready:
        ready.start_all(*SERVICES)
        yield ready


@pytest.fixture
def stopped_saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """A virtual host without workers; the test starts them."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga")) as ready:
        yield ready


@pytest.fixture
def idle_saga(stopped_saga: SagaFixture) -> SagaFixture:
    """The topology and the databases, and no worker any more: what is sent back stays in the inbox."""
    stopped_saga.start("stock", "paiement", "commande", "notification").await_ready()
    assert stopped_saga.workers["stock"].end() == 0
    return stopped_saga
