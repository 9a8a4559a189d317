"""Faults of messages: duplicates, invalid and forged messages, dead letters sent back."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from pika.exceptions import AMQPError

from scripts.nemesis.history import EXHAUSTED
from scripts.nemesis.orders import CANCELLED, EXCHANGE, ORDERED, make_order

if TYPE_CHECKING:
    import random

    from choregraphie.saga.choreography import Choreography
    from scripts.nemesis.client import Client
    from scripts.nemesis.targets import Targets

MOST_REPEATED = 20
# Properties that break the client library's decoder, on valid orders.
POISONS: tuple[dict[str, Any], ...] = (
    {"timestamp": 1_790_000_000_000_000_000},
    {"timestamp": 2**64 - 1},
    {"message_id": b"\xff\xfe", "type": b"\xc3("},
    {"headers": {b"\xff": 1}},
)


class Duplicates:
    """Confirmed messages are published again: some twice, one fifty times."""

    def start(self, targets: Targets) -> None:
        client = targets.environment.client
        confirmed = [message for message in list(client.messages) if message.confirmed]
        if confirmed:
            client.publish_again(targets.rng.sample(confirmed, min(MOST_REPEATED, len(confirmed))), copies=2)
            client.publish_again([targets.rng.choice(confirmed)], copies=50)

    def stop(self, targets: Targets) -> None: ...


class Redrive:
    """Every dead letter is sent back, as by an operator."""

    def start(self, targets: Targets) -> None:
        with contextlib.suppress(AMQPError, OSError):  # the broker is away: no dead letter can be sent back now
            targets.environment.redrive()

    def stop(self, targets: Targets) -> None: ...


class Rubbish:
    """Invalid and forged messages are published between the orders."""

    def start(self, targets: Targets) -> None:
        publish_invalid(targets.environment.client, targets.rng, targets.environment.saga)

    def stop(self, targets: Targets) -> None: ...


class Poison:
    """Valid orders whose AMQP properties break the client library's decoder; they must be handled."""

    def start(self, targets: Targets) -> None:
        for properties in POISONS:
            name = f"POISON-{targets.rng.getrandbits(48):012x}"
            for client_event in make_order("plain", name, targets.rng):
                targets.environment.client.publish(
                    EXCHANGE, client_event.key, client_event.body, properties=properties
                )

    def stop(self, targets: Targets) -> None: ...


def publish_invalid(client: Client, rng: random.Random, saga: Choreography) -> None:
    """Publish one message of each invalid kind."""
    for reason, body in _broken(rng).items():
        client.publish(EXCHANGE, ORDERED, body, refused=dict.fromkeys(saga.hearers(ORDERED), reason))
    forged = _event("commande.annulee", {"raison": "forgée"}, rng, source="/services/commande")
    _publish_forged(client, saga, ORDERED, "commande.annulee", forged)
    paid = _event("paiement.effectue", {"transaction_id": "T", "montant": 1}, rng, source="/services/paiement")
    _publish_forged(client, saga, CANCELLED, "paiement.effectue", paid)
    if saga.command_types:
        _publish_uncalled(client, rng)


def _publish_forged(client: Client, saga: Choreography, key: str, type_: str, body: bytes) -> None:
    """Publish an event of another speaker as a client's: by its exchange, with its key."""
    known = saga.hearers(type_)
    reasons = {name: "wrong_sender" if name in known else "unknown_type" for name in saga.hearers(key)}
    client.publish(EXCHANGE, key, body, refused=reasons)


def _publish_uncalled(client: Client, rng: random.Random) -> None:
    """Publish a command that no orchestrator said, and an answer to a command that was never said."""
    taken = _event("paiement.debiter", {"client_id": "CLIENT-A", "montant": 1}, rng)
    client.publish("paiement.commands", "paiement.debiter", taken, refused={"paiement": "wrong_sender"})
    freed = _event("stock.libere", {"reservation_id": None}, rng, source="/services/stock")
    client.publish("stock.events", "stock.libere", freed, refused={"orchestrateur": EXHAUSTED})


def _broken(rng: random.Random) -> dict[str, bytes]:
    data = {"client_id": "CLIENT-A", "produit_id": "PROD-1", "quantite": 1, "montant": 9.99}
    return {
        "unreadable": rng.randbytes(40),
        "invalid": _event(ORDERED, data | {"quantite": -1}, rng),
        "subject_mismatch": _event(ORDERED, data, rng, subject="SOMETHING-ELSE"),
        "unknown_version": _event(ORDERED, data, rng, dataschema=f"urn:choregraphie:{ORDERED}:99"),
        "too_large": _event(ORDERED, data | {"client_id": "x" * 262_144}, rng),
    }


def collide(client: Client, rng: random.Random, saga: Choreography) -> None:
    """Publish used ids with another body. Only ids that are certainly handled."""
    confirmed = [m for m in client.messages if m.confirmed and not m.refused and m.key == ORDERED]
    for message in rng.sample(confirmed, min(3, len(confirmed))):
        content = json.loads(message.body)
        content["data"]["quantite"] += 1
        refused = dict.fromkeys(saga.hearers(ORDERED), "id_collision")
        client.publish(EXCHANGE, ORDERED, json.dumps(content).encode(), refused=refused)


def _event(type_: str, data: dict[str, Any], rng: random.Random, **other: Any) -> bytes:
    number = uuid.UUID(int=rng.getrandbits(128), version=4)
    head = {"specversion": "1.0", "id": str(number), "type": type_, "source": "/clients/chaos"}
    return json.dumps(head | other | {"data": {"commande_id": f"RUBBISH-{number}"} | data}).encode()
