"""The relay while its broker or its database is away, refuses it, or lacks something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from choregraphie import DatabaseRefused, LoginRefused
from choregraphie.client import Published, Relay, create_outbox, say
from contracts.stock import StockLibere
from tests.choregraphie.client.conftest import driver_url
from tests.choregraphie.client.test_relay import decide, keys, pending, running, until
from tests.support.late_port import late_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from choregraphie import Settings
    from scripts.nemesis.management import Management
    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.brokers import Broker
    from tests.support.foreign_client import ForeignClient, Subscription


async def test_a_broker_that_is_away_is_waited_for(
    engine: Engine, settings: Settings, amqp_url: str, heard: Subscription
) -> None:
    url = make_url(amqp_url)
    with late_port(url.host or "", url.port or 5672) as late:
        through = settings.model_copy(update={"amqp_url": amqp_url.replace(f":{url.port}/", f":{late.number}/")})
        relay = Relay(engine, through)
        async with running(relay):
            decide(engine, "CMD-1")
            await until(lambda: relay.problem is not None)
            assert pending(engine) == 1
            late.open()
            assert await keys(heard, 1) == ["CMD-1"]
            await until(lambda: relay.problem is None)


async def test_a_lost_connection_is_opened_again(
    engine: Engine, settings: Settings, management: Management, heard: Subscription
) -> None:
    async with running(Relay(engine, settings)):
        decide(engine, "CMD-1")
        await keys(heard, 1)
        await asyncio.to_thread(management.close_connections, "relay")
        decide(engine, "CMD-2")
        assert await keys(heard, 2) == ["CMD-1", "CMD-2"]
        await until(lambda: pending(engine) == 0)


async def test_a_database_that_closes_its_connections_is_asked_again(
    postgres: PrivatePostgres, postgresql: Engine, settings: Settings, heard: Subscription
) -> None:
    engine = postgresql
    own = create_engine(engine.url)
    async with running(Relay(own, settings)):
        decide(engine, "CMD-1")
        await keys(heard, 1)
        await until(lambda: pending(engine) == 0)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(end, (engine.url.database,))
        engine.dispose()
        decide(engine, "CMD-2")
        assert await keys(heard, 2) == ["CMD-1", "CMD-2"]
    own.dispose()


async def test_events_wait_for_their_exchange_and_others_go_ahead(
    engine: Engine, settings: Settings, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_exchange("stock.events")
    heard = foreign_client.subscribe("stock.events")
    decide(engine, "CMD-1")
    with engine.begin() as connection:
        say(connection, StockLibere(commande_id="CMD-2", reservation_id=None), source="/services/stock")
    relay = Relay(engine, settings)
    async with running(relay):
        assert await keys(heard, 1) == ["CMD-2"]
        await until(lambda: relay.problem == "the broker does not take 1 events")
        foreign_client.declare_exchange("client.events")
        later = foreign_client.subscribe("client.events")
        assert await keys(later, 1) == ["CMD-1"]


async def test_an_event_for_which_no_queue_is_bound_stays_pending(
    engine: Engine, settings: Settings, foreign_client: ForeignClient
) -> None:
    foreign_client.declare_exchange("client.events")
    decide(engine, "CMD-1")
    assert await Relay(engine, settings).publish_pending() == Published(0, 1)
    assert pending(engine) == 1


async def test_a_login_that_is_refused_ends_the_relay(engine: Engine, settings: Settings) -> None:
    url = make_url(settings.amqp_url).set(password="wrong")
    refused = settings.model_copy(update={"amqp_url": url.render_as_string(hide_password=False)})
    with pytest.raises(LoginRefused):
        await Relay(engine, refused).run()


async def test_a_refused_login_does_not_end_a_relay_of_a_process(
    engine: Engine, settings: Settings, heard: Subscription, broker: Broker, management: Management
) -> None:
    with management.identity(write=".*") as login:
        user, _, password = login.partition(":")
        management.set_password(user, "another")
        url = settings.amqp_url.replace(broker.authority.rpartition("@")[0], login)
        relay = Relay(engine, settings.model_copy(update={"amqp_url": url}))
        async with relay.running():
            decide(engine, "CMD-1")
            await until(lambda: relay.problem is not None)
            assert pending(engine) == 1
            management.set_password(user, password)
            assert await keys(heard, 1) == ["CMD-1"]


async def test_a_missing_table_names_the_remedy(
    database_for: Callable[[str], str], settings: Settings, heard: Subscription
) -> None:
    engine = create_engine(driver_url(database_for("other")))
    with pytest.raises(DatabaseRefused, match=r"choregraphie\.client\.create_outbox"):
        await Relay(engine, settings).run()
    relay = Relay(engine, settings)
    async with relay.running():
        await until(lambda: relay.problem is not None)
        create_outbox(engine)
        decide(engine, "CMD-1")
        assert await keys(heard, 1) == ["CMD-1"]
    engine.dispose()
