"""The whole saga: every service on a virtual host of its own, and a foreign client that orders and listens."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any, Self

from tests.support.foreign_client import PATIENCE_SECONDS, ForeignClient, ReceivedMessage, Subscription
from tests.support.workers import Worker, services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker

SERVICES = ("stock", "paiement", "commande", "notification")
SPEAKERS = ("client", *SERVICES)


class SagaFixture:
    """The workers, their virtual host, and a foreign client with a subscription to every event."""

    subscription: Subscription

    def __init__(self, url: str, management: Management, folder: Path, **settings: Any) -> None:
        self.url = url
        self.management = management
        self.folder = folder
        self.settings: dict[str, Any] = {
            "amqp_url": url,
            "database_url": f"sqlite:///{folder}/{{service}}.sqlite3",
            "carrier": f"maildir:{folder}/courrier",
            "retry_delays": "0.1,0.2",
            **settings,
        }
        self.workers: dict[str, Worker] = {}
        self.foreign_client = ForeignClient(url)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.foreign_client.close()
        for worker in {*self.workers.values()}:
            worker.kill()

    def start(self, *names: str, **more: Any) -> Worker:
        """Start a process for these services. `more`: settings of this process only."""
        worker = Worker(names, self.folder / f"{'-'.join(names)}.log", self.settings | more)
        self.workers |= dict.fromkeys(names, worker)
        return worker

    def start_all(self, *apart: str) -> None:
        """Start every service, wait until all are ready, and subscribe to all events.

        `apart`: the services that have a process of their own; the others share one.
        """
        together = tuple(name for name in SERVICES if name not in apart)
        for names in [*((name,) for name in apart), *([together] if together else [])]:
            self.start(*names)
        for worker in {*self.workers.values()}:
            worker.await_ready()
        self.subscription = self.foreign_client.subscribe(
            *(f"{outbox_publisher}.events" for outbox_publisher in SPEAKERS)
        )

    def new_id(self) -> str:
        self._number += 1
        return f"CMD-{self._number:04}"

    def publish(self, type_: str, data: dict[str, Any], exchange: str = "client.events", **more: Any) -> str:
        """Publish as a client with only a JSON library does. Returns the event's id."""
        event_id = more.pop("id", None) or str(uuid.uuid4())
        message = {"specversion": "1.0", "id": event_id, "type": type_, "source": "/clients/dehors", "data": data}
        assert self.foreign_client.publish(exchange, type_, message | more, content_type="application/json")
        return event_id

    def order(self, commande_id: str | None = None, **data: Any) -> str:
        commande_id = commande_id or self.new_id()
        usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}
        self.publish("commande.initiee", {"commande_id": commande_id, **usual, **data})
        return commande_id

    def cancel(self, commande_id: str) -> None:
        self.publish("commande.annulation_demandee", {"commande_id": commande_id, "raison": "changement d'avis"})

    def await_events(
        self, commande_id: str, *types: str, within_seconds: float = PATIENCE_SECONDS, repeated: bool = False
    ) -> dict[str, ReceivedMessage]:
        """Wait for these events of the order. Returns all its events by type; each must be published once.

        With `repeated` an event may be published again under its id, because delivery is at least once: a worker
        does that when it is killed, or loses its broker or database, between a confirm and the mark in its outbox.
        """

        def enough(received: list[ReceivedMessage]) -> bool:
            return {*types} <= {message.key for message in received if is_about(message, commande_id)}

        self.subscription.until(enough, within_seconds)
        mine = [message for message in self.subscription.received if is_about(message, commande_id)]
        by_type = {message.key: message for message in mine}
        published = {message.json["id"] for message in mine} if repeated else mine
        assert len(by_type) == len(published), [message.key for message in mine]
        return by_type

    @contextlib.contextmanager
    def bound(self, exchange: str, queue: str, key: str) -> Iterator[None]:
        """Add a binding by mistake, as an operator may, for as long as the block lasts."""
        self.foreign_client.bind(queue, exchange, key)
        try:
            yield
        finally:
            self.management.unbind(exchange, queue, key)

    def inspect(self, service: str) -> dict[str, Any]:
        return self.inspect_each(service)[0]

    def inspect_each(self, *names: str) -> list[dict[str, Any]]:
        """Return the business state of each of these services."""
        done = services("inspect", *names, "--json", **self.settings)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return [found[name] for name in names] if len(names) > 1 else [found]


def is_about(message: ReceivedMessage, commande_id: str) -> bool:
    """Whether the message is about that order; False when it cannot be read."""
    if commande_id.encode() not in message.body:
        return False
    try:
        return bool(message.json["data"]["commande_id"] == commande_id)
    except (ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def saga_fixture(broker: Broker, folder: Path, **settings: Any) -> Iterator[SagaFixture]:
    """The services on a new virtual host, not started yet."""
    management = broker.management(f"saga-{uuid.uuid4().hex[:12]}")
    management.create_vhost()
    try:
        with SagaFixture(broker.url(management.vhost), management, folder, **settings) as ready:
            yield ready
    finally:
        management.delete_vhost()
