"""Makes dead letters of `paiement`, and gives the commands of an operator about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.operator_commands import command
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.support.foreign_client import ForeignClient
    from tests.support.saga_fixture import SagaFixture


QUEUE = "paiement.dlq"
# They take every letter and leave it in its queue.
LOOKS = {"list", "show", "hold", "edit"}


def dlq(saga: SagaFixture, *arguments: str, code: int = 0, **settings: Any) -> str:
    """Run `dlq …`; returns what it printed, the errors when it failed. The letters that it left are back then."""
    looks = code == 0 and arguments[0] in LOOKS
    before = saga.foreign_client.count(QUEUE) if looks else 0
    done = command("dlq", *arguments, **(saga.settings | settings))
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if looks:
        until(lambda: saga.foreign_client.count(QUEUE) >= before, "the broker has put back what was taken")
    return done.stdout or done.stderr


def letters(saga: SagaFixture, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dlq(saga, "list", "--json", *arguments))["letters"]
    return found


def audit(saga: SagaFixture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dlq(saga, "audit", "--json"))
    return found


def await_count(saga: SagaFixture, queue: str, count: int) -> None:
    until(lambda: saga.foreign_client.count(queue) == count, f"{count} messages in {queue}")


def reserved(order: str, event_id: str | None = None) -> bytes:
    data = {
        "commande_id": order,
        "reservation_id": f"R-{order}",
        "client_id": "CLIENT-123",
        "produit_id": "PROD-456",
        "quantite": 1,
        "montant": 10,
    }
    head = {
        "specversion": "1.0",
        "id": event_id or f"e-{order}",
        "type": "stock.reserve",
        "source": "/services/stock",
    }
    return json.dumps(head | {"data": data}).encode()


def set_aside(client: ForeignClient, body: bytes, key: str = "stock.reserve", **more: Any) -> None:
    """Put a dead letter in the queue of `paiement`, as the service does."""
    headers = {
        "x-saga-reason": "exhausted",
        "x-saga-detail": "ConnectionError: gateway",
        "x-saga-exchange": "stock.events",
        "x-saga-service": "paiement",
        "x-saga-attempt": 3,
    }
    assert client.publish("paiement.dlx", key, body, headers | more.pop("headers", {}), delivery_mode=2, **more)
