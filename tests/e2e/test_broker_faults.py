"""When the broker refuses, loses its topology or falls silent, workers log it, keep their decisions and go on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.nemesis.proxy import Mode, Proxy
from tests.support.saga_fixture import SERVICES, SPEAKERS
from tests.support.workers import services, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker
    from tests.support.saga_fixture import SagaFixture
    from tests.support.workers import Worker

END = ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee")
RIGHTS = {
    "configure": "^$",
    "write": r"^stock\.(events|retry|dlx)$",
    "read": r"^stock\.inbox$",
}


def lost(worker: Worker, *words: str) -> int:
    """Count the `session.lost` lines whose error contains all these words."""
    return sum(all(word in line["error"] for word in words) for line in worker.logged("session.lost"))


def no_dead_letters(saga: SagaFixture) -> bool:
    return all(saga.foreign_client.count(f"{service}.dlq") == 0 for service in SERVICES)


def test_a_full_queue_delays_events_and_no_decision(
    stopped_saga: SagaFixture,
) -> None:
    saga = stopped_saga
    stock = saga.start("stock")
    saga.start("commande", "notification").await_ready()
    stock.await_ready()
    saga.subscription = saga.foreign_client.subscribe(
        *(f"{outbox_publisher}.events" for outbox_publisher in SPEAKERS)
    )
    orders: list[str] = []

    def refused() -> bool:
        # The broker enforces the limit a moment late, so a few more messages get in.
        orders.append(saga.order(quantite=1, montant=1))
        return lost(stock, "stock.reserve", "refused") >= 1

    with saga.management.policy(r"^paiement\.inbox$", **{"max-length": 1}):
        until(refused, "stock logs that it was refused")
    saga.start("paiement").await_ready()
    for order in orders:
        await_event(saga, order, "commande.creee")
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == len(orders)
    assert no_dead_letters(saga)


def await_event(saga: SagaFixture, commande_id: str, type_: str) -> None:
    """Wait for the event, which may come more than once: a message that one queue refused reached the others."""
    saga.subscription.until(lambda received: any(m.key == type_ and commande_id in str(m.body) for m in received))


@contextlib.contextmanager
def behind_a_proxy(saga: SagaFixture, service: str, url: str, **settings: str) -> Iterator[tuple[Proxy, Worker]]:
    port = urlsplit(url).port
    assert port is not None
    proxy = Proxy(port)
    try:
        through = url.replace(f":{port}/", f":{proxy.port}/")
        worker = saga.start(service, amqp_url=through, **settings)
        worker.await_ready()
        yield proxy, worker
        worker.kill()
    finally:
        proxy.close()


def test_a_worker_waits_for_rights_that_were_revoked_and_sets_no_message_aside(
    stopped_saga: SagaFixture, broker: Broker
) -> None:
    saga = stopped_saga
    applied(saga)
    place = broker.authority.rpartition("@")[2]
    with saga.management.identity(**RIGHTS) as login:
        url = f"amqp://{login}@{place}/{saga.management.vhost}"
        with behind_a_proxy(saga, "stock", url, topology="passive") as (proxy, worker):
            saga.subscription = saga.foreign_client.subscribe("client.events", "stock.events")
            for number, taken in enumerate(("write", "read", "all"), 1):
                user = login.partition(":")[0]
                take_away(saga.management, user, taken)
                # The broker caches the rights of a connection, so the session has to be a new one.
                proxy.set(Mode.REFUSE)
                proxy.set(Mode.PASS)
                order = saga.order()
                await_refusals(worker, number)
                assert "stock.reserve" not in saga.await_events(order, repeated=True)
                saga.management.set_permissions(user, **RIGHTS)
                saga.await_events(order, "stock.reserve", repeated=True)
            assert worker.exit_code is None
    assert no_dead_letters(saga)
    assert saga.inspect("stock")["produits"]["PROD-456"]["retenu"] == 6


def await_refusals(worker: Worker, kinds: int) -> None:
    """Wait until this many kinds of refusal are logged: of the exchange, of the inbox, of the virtual host."""
    words = (("ACCESS_REFUSED", "exchange"), ("ACCESS_REFUSED", "queue"), ("does not let this user into",))
    until(lambda: sum(lost(worker, *some) > 0 for some in words) >= kinds, f"{kinds} kinds of refusals are logged")


def take_away(management: Management, user: str, what: str) -> None:
    if what == "all":
        management.clear_permissions(user)
    else:
        management.set_permissions(user, **RIGHTS | {what: "^$"})


def applied(saga: SagaFixture) -> None:
    """Have a worker declare the topology, and end it."""
    maker = saga.start("notification")
    maker.await_ready()
    assert maker.end() == 0


def test_a_passive_worker_reports_a_missing_topology_and_does_not_declare_it(stopped_saga: SagaFixture) -> None:
    """An exchange that is deleted later costs no event either."""
    saga = stopped_saga
    worker = saga.start("stock", topology="passive")
    until(lambda: lost(worker, "NOT_FOUND", "client.events") >= 1, "what is missing is logged")
    assert worker.exit_code is None
    assert saga.management.queues() == saga.management.exchanges() == []
    applied(saga)
    worker.await_ready()

    saga.management.delete_exchange("stock.events")
    orders = [saga.order(quantite=1) for _ in range(3)]
    until(lambda: lost(worker, "NOT_FOUND", "stock.events") >= 1, "what is missing is logged")
    pending = services("outbox", "list", "--service", "stock", **saga.settings).stdout
    assert "stock.reserve" in pending
    saga.start("paiement", "commande").await_ready()  # they declare the exchange again
    until(lambda: saga.inspect("commande")["commandes"]["creees"] == len(orders), "all are created")
    assert no_dead_letters(saga)


def test_a_worker_declares_its_deleted_inbox_again(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    saga.start_all("paiement")
    saga.management.delete_queue("paiement.inbox")
    paiement = saga.workers["paiement"]
    until(lambda: lost(paiement, "its queue is gone") == 1, "the loss is logged")
    paiement.await_ready(times=2)
    saga.await_events(saga.order(), *END, repeated=True)


def test_a_half_open_connection_is_noticed_in_either_direction(stopped_saga: SagaFixture) -> None:
    """No TCP reset is sent, so only the heartbeat (10 s, three missed) ends the connection."""
    saga = stopped_saga
    with (
        behind_a_proxy(saga, "stock", saga.url) as (up, stock),
        behind_a_proxy(saga, "paiement", saga.url) as (down, paiement),
    ):
        saga.start("commande", "notification").await_ready()
        up.set(Mode.STALL_UP)
        down.set(Mode.STALL_DOWN)
        saga.subscription = saga.foreign_client.subscribe(
            *(f"{outbox_publisher}.events" for outbox_publisher in SPEAKERS)
        )
        # Nothing is published meanwhile: a missing confirm would be noticed without a heartbeat.
        until(lambda: bool(lost(stock) and lost(paiement)), "both losses are logged")
        order = saga.order()
        up.set(Mode.PASS)
        down.set(Mode.PASS)
        await_event(saga, order, "commande.creee")
    assert saga.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1
    assert no_dead_letters(saga)
