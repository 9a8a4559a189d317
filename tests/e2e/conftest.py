"""Four workers for all the tests that leave them as they were: starting them costs more than an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES, Shop, shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker


@pytest.fixture(scope="session")
def open_shop(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A process per service, ready."""
    with shop(broker, tmp_path_factory.mktemp("shop")) as ready:
        ready.open(*SERVICES)
        yield ready


@pytest.fixture
def closed_shop(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """No worker yet."""
    with shop(broker, tmp_path_factory.mktemp("shop")) as ready:
        yield ready
