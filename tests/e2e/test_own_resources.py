"""A worker that cannot write, or lacks descriptors or disk, takes no deliveries and dead-letters nothing."""

from __future__ import annotations

import contextlib
import resource
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from scripts.nemesis.proxy import Mode, Proxy
from scripts.probes import HOST
from tests.choregraphie.telemetry.test_metrics import get
from tests.support.free_port import free_port
from tests.support.saga_fixture import SERVICES
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from scripts.nemesis.private_postgres import PrivatePostgres
    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture
    from tests.support.workers import Worker

    Fault = Callable[[PrivatePostgres, str], AbstractContextManager[None]]

SESSIONS = 3
# A message that returns to its queue a third time is dead-lettered.
DELIVERY_LIMIT = 2
SHORT = "worker.short_of_resources"
AGAIN = "worker.resources_recovered"


def no_message_pays(saga: SagaFixture) -> bool:
    """No message was dead-lettered, and none was retried."""
    sent = [line for worker in saga.workers.values() for line in worker.logged("message.retried")]
    return not sent and all(saga.foreign_client.count(f"{service}.dlq") == 0 for service in SERVICES)


@contextlib.contextmanager
def read_only(server: PrivatePostgres, database: str) -> Iterator[None]:
    """As after a failover to a standby: every session is closed, and new ones are read-only."""

    def set_to(value: str) -> None:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            switch = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
            connection.execute(switch.format(sql.Identifier(database), sql.SQL(value)))
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(cut, (database,))

    set_to("on")
    yield
    set_to("off")


@contextlib.contextmanager
def full_disk(server: PrivatePostgres, database: str) -> Iterator[None]:
    """Each insert into the inbox needs a page that the disk has no room for; smaller changes pass."""
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
        yield
        connection.execute("DROP TRIGGER full_disk ON inbox")


@contextlib.contextmanager
def proxied(broker: Broker, vhost: str) -> Iterator[tuple[Proxy, str]]:
    whole = urlsplit(broker.url(vhost))
    assert whole.port is not None
    proxy = Proxy(whole.port)
    try:
        yield proxy, whole._replace(netloc=f"{whole.username}:{whole.password}@{HOST}:{proxy.port}").geturl()
    finally:
        proxy.close()


def reset_connections(proxy: Proxy) -> None:
    """Close every connection; new ones pass."""
    proxy.set(Mode.REFUSE)
    proxy.set(Mode.PASS)


def lose_session(proxy: Proxy, worker: Worker) -> None:
    """Close the worker's session, or the one it is about to open, and wait until it waits in a new one."""
    lost, before = len(worker.logged("session.lost")), len(worker.logged("database.unavailable"))
    reset_connections(proxy)
    until(lambda: len(worker.logged("session.lost")) > lost, "the loss is logged")
    until(lambda: len(worker.logged("database.unavailable")) > before + 1, "it waits in another session")


@pytest.mark.parametrize("fault", [read_only, full_disk])
def test_a_worker_whose_database_does_not_take_its_work_takes_no_deliveries(
    stopped_saga: SagaFixture, broker: Broker, postgres: PrivatePostgres, fault: Fault
) -> None:
    saga, database = stopped_saga, f"stock_{uuid.uuid4().hex[:8]}"
    postgres.create(database)
    with proxied(broker, saga.management.vhost) as (proxy, url):
        stock = saga.start("stock", amqp_url=url, database_url=postgres.url(database))
        stock.await_ready()
        saga.start("paiement", "commande", "notification").await_ready()
        saga.subscription = saga.foreign_client.subscribe("commande.events")
        # RabbitMQ uses the smaller limit of the queue's argument and the policy.
        lower = saga.management.policy(r"^stock\.inbox$", **{"delivery-limit": DELIVERY_LIMIT})
        with lower, fault(postgres, database):
            orders = [saga.order(quantite=1, montant=1) for _ in range(5)]
            until(lambda: bool(stock.logged("database.unavailable")), "the trouble is logged")
            for _ in range(DELIVERY_LIMIT + SESSIONS):
                lose_session(proxy, stock)
                until(lambda: saga.foreign_client.count("stock.inbox") == 5, "its deliveries were returned")
            assert (saga.foreign_client.count("stock.inbox"), saga.foreign_client.consumers("stock.inbox")) == (
                5,
                0,
            )
            assert no_message_pays(saga)
        for order in orders:
            saga.await_events(order, "commande.creee", repeated=True)
        assert no_message_pays(saga)
        assert stock.end() == 0


@contextlib.contextmanager
def no_descriptor_left(worker: Worker) -> Iterator[None]:
    """Lower the limit of descriptors to the number that the process has open."""
    before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    # What is open stays open; a descriptor that is closed cannot be used again.
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)


def test_a_worker_without_descriptors_waits_and_sets_no_message_aside(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.start_all(*SERVICES)
    saga.await_events(saga.order(), "notification.envoyee")
    notification = saga.workers["notification"]
    with no_descriptor_left(notification):
        orders = [saga.order(quantite=1, montant=1) for _ in range(5)]
        for order in orders:
            saga.await_events(order, "commande.creee", repeated=True)
        until(lambda: bool(notification.logged(SHORT)), "it is logged")
        # In this time a message would have had all its tries.
        saga.await_events(saga.order(), "commande.creee", repeated=True)
        assert no_message_pays(saga)
        assert len(notification.logged(SHORT)) == 1, "once"
    for order in orders:
        saga.await_events(order, "notification.envoyee", repeated=True)
    until(lambda: bool(notification.logged(AGAIN)), "its end is logged")
    (short,) = notification.logged(SHORT)
    assert (short["stage"], short["service"]) == ("calls", "notification")
    assert no_message_pays(saga)
    assert notification.end() == 0


def test_a_worker_without_descriptors_whose_session_is_lost_comes_back_when_it_has_some(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    with proxied(broker, saga.management.vhost) as (proxy, url):
        saga.start("stock", "paiement", "commande").await_ready()
        notification = saga.start("notification", amqp_url=url)
        notification.await_ready()
        saga.subscription = saga.foreign_client.subscribe("commande.events", "notification.events")
        with no_descriptor_left(notification):
            reset_connections(proxy)
            until(lambda: bool(notification.logged(SHORT)), "it is logged")
            until(lambda: len(notification.logged("session.lost")) > SESSIONS, "it tries again and again")
            order = saga.order()
            saga.await_events(order, "commande.creee", repeated=True)
            # A quorum queue counts a message a moment after other queues have delivered it.
            until(lambda: saga.foreign_client.count("notification.inbox") == 1, "it waits in the inbox")
        saga.await_events(order, "notification.envoyee", repeated=True)
        assert {line["lacking"] for line in notification.logged(SHORT)} == {"file descriptors"}
        assert no_message_pays(saga)
        assert notification.end() == 0


def test_a_mail_folder_that_cannot_be_written_is_no_try_of_any_message(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga, port = stopped_saga, free_port()
    folder = saga.folder / "courrier"
    with proxied(broker, saga.management.vhost) as (proxy, url):
        saga.start("stock", "paiement", "commande").await_ready()
        notification = saga.start("notification", amqp_url=url, metrics_port=port)
        notification.await_ready()
        assert get(port, "/readyz")[0] == 200
        saga.subscription = saga.foreign_client.subscribe("commande.events", "notification.events")
        away = folder.rename(saga.folder / "elsewhere")
        orders = [saga.order(quantite=1, montant=1) for _ in range(5)]
        for order in orders:
            saga.await_events(order, "commande.creee", repeated=True)
        until(lambda: bool(notification.logged(SHORT)), "it is logged")
        assert get(port, "/readyz")[0] == 503
        reset_connections(proxy)
        # The lost session gave them back, and the next one does not take them.
        until(lambda: saga.foreign_client.count("notification.inbox") == 5, "its deliveries were returned")
        until(lambda: len(notification.logged("session.lost")) > 0, "another session")
        assert no_message_pays(saga)
        away.rename(folder)
        for order in orders:
            saga.await_events(order, "notification.envoyee", repeated=True)
        until(lambda: get(port, "/readyz")[0] == 200, "it is ready again")
        assert no_message_pays(saga)
        assert notification.end() == 0
