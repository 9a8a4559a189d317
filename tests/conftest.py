"""Fixtures that every folder of tests may use: a real broker, and a virtual host of it per test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.brokers import Broker, NoBrokerError, session_broker
from tests.support.outsider import Outsider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.management import Management


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for the whole session. None to be had is a failure: skipping would say that all is well."""
    try:
        with session_broker() as ready:
            yield ready
    except NoBrokerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def management(broker: Broker) -> Iterator[Management]:
    """The operator's view of a virtual host that only this test has."""
    api = broker.management(f"test-{uuid.uuid4().hex[:12]}")
    api.create_vhost()
    yield api
    api.delete_vhost()


@pytest.fixture
def amqp_url(broker: Broker, management: Management) -> str:
    """The URL of this test's own virtual host."""
    return broker.url(management.vhost)


@pytest.fixture
def outsider(amqp_url: str) -> Iterator[Outsider]:
    """A foreign client, connected to this test's virtual host."""
    with Outsider(amqp_url) as client:
        yield client
