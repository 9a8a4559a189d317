"""Four workers for all the tests that leave them as they were: starting them costs more than an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES, SagaFixture, saga_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker


@pytest.fixture(scope="session")
def running_saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """A process per service, ready."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga")) as ready:
        ready.start_all(*SERVICES)
        yield ready


@pytest.fixture
def stopped_saga(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SagaFixture]:
    """No worker yet."""
    with saga_fixture(broker, tmp_path_factory.mktemp("saga")) as ready:
        yield ready
