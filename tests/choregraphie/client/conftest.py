"""A client's database with an outbox, on SQLite and on PostgreSQL, and what reaches the broker from it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, create_engine
from sqlalchemy.engine import make_url

from choregraphie import Settings
from choregraphie.client import create_outbox
from tests.support.topology import declare_topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.foreign_client import ForeignClient, Subscription

BUSINESS = MetaData()
PANIERS = Table("paniers", BUSINESS, Column("id", Text, primary_key=True))


def driver_url(url: str) -> str:
    """The same URL with the driver that is installed, for SQLAlchemy itself."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def async_url(url: str) -> str:
    """The same URL with a driver for asyncio."""
    return driver_url(url).replace("sqlite://", "sqlite+aiosqlite://")


@pytest.fixture
def client_url(database_for: Callable[[str], str]) -> str:
    """The URL of a database with a business table and an outbox, as SAGA_DATABASE_URL has it."""
    url = database_for("boutique")
    engine = create_engine(driver_url(url))
    BUSINESS.create_all(engine)
    create_outbox(engine)
    engine.dispose()
    assert make_url(url).database
    return url


@pytest.fixture
def engine(client_url: str) -> Iterator[Engine]:
    """The client's own engine, with SQLAlchemy's defaults."""
    made = create_engine(driver_url(client_url))
    yield made
    made.dispose()


@pytest.fixture
def settings(amqp_url: str) -> Settings:
    return Settings(amqp_url=amqp_url, drain=10)


@pytest.fixture
async def heard(settings: Settings, foreign_client: ForeignClient) -> Subscription:
    """What reaches the exchange of the clients; the topology of the saga is there."""
    await declare_topology(settings)
    return foreign_client.subscribe("client.events")


@pytest.fixture
def postgresql(postgres: PrivatePostgres) -> Iterator[Engine]:
    """A database of its own with an outbox, for what SQLite cannot do."""
    name = f"boutique_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    made = create_engine(driver_url(postgres.url(name)))
    create_outbox(made)
    yield made
    made.dispose()
