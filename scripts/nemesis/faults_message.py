"""Faults of what is said: repetitions, rubbish, forgeries, and dead letters driven back."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from pika.exceptions import AMQPError

from scripts.nemesis.orders import CANCELLED, EXCHANGE, ORDERED, make

if TYPE_CHECKING:
    import random

    from scripts.nemesis.client import Client
    from scripts.nemesis.targets import Stage

MOST_REPEATED = 20
# Properties that break the client library's decoder, on orders with which nothing is wrong.
POISONS: tuple[dict[str, Any], ...] = (
    {"timestamp": 1_790_000_000_000_000_000},
    {"timestamp": 2**64 - 1},
    {"message_id": b"\xff\xfe", "type": b"\xc3("},
    {"headers": {b"\xff": 1}},
)


class Duplicates:
    """What was said before is said again: some of it twice, one of it fifty times."""

    def start(self, stage: Stage) -> None:
        client = stage.arena.client
        said = [message for message in list(client.messages) if message.confirmed]
        if said:
            client.say_again(stage.rng.sample(said, min(MOST_REPEATED, len(said))), copies=2)
            client.say_again([stage.rng.choice(said)], copies=50)

    def stop(self, stage: Stage) -> None: ...


class Redrive:
    """An operator sends every dead letter back, good or bad."""

    def start(self, stage: Stage) -> None:
        with contextlib.suppress(AMQPError, OSError):  # the broker is away: nothing to drive back now
            stage.arena.redrive()

    def stop(self, stage: Stage) -> None: ...


class Rubbish:
    """What nobody can read or nobody may say, in between the orders."""

    def start(self, stage: Stage) -> None:
        throw(stage.arena.client, stage.rng)

    def stop(self, stage: Stage) -> None: ...


class Poison:
    """Good orders whose AMQP properties break the client library's decoder: they must come through."""

    def start(self, stage: Stage) -> None:
        for properties in POISONS:
            name = f"POISON-{stage.rng.getrandbits(48):012x}"
            for outbox_event in make("plain", name, stage.rng):
                stage.arena.client.say(EXCHANGE, outbox_event.key, outbox_event.body, properties=properties)

    def stop(self, stage: Stage) -> None: ...


def throw(client: Client, rng: random.Random) -> None:
    """One of each kind."""
    both = ("stock", "commande")
    for reason, body in _broken(rng).items():
        client.say(EXCHANGE, ORDERED, body, refused=dict.fromkeys(both, reason))
    forged = _event("commande.annulee", {"raison": "forgée"}, rng, source="/services/commande")
    client.say(EXCHANGE, ORDERED, forged, refused={"stock": "wrong_sender", "commande": "unknown_type"})
    paid = _event("paiement.effectue", {"transaction_id": "T", "montant": 1}, rng, source="/services/paiement")
    client.say(EXCHANGE, CANCELLED, paid, refused={"commande": "wrong_sender"})


def _broken(rng: random.Random) -> dict[str, bytes]:
    data = {"client_id": "CLIENT-A", "produit_id": "PROD-1", "quantite": 1, "montant": 9.99}
    return {
        "unreadable": rng.randbytes(40),
        "invalid": _event(ORDERED, data | {"quantite": -1}, rng),
        "subject_mismatch": _event(ORDERED, data, rng, subject="SOMETHING-ELSE"),
        "unknown_version": _event(ORDERED, data, rng, dataschema=f"urn:choregraphie:{ORDERED}:99"),
        "too_large": _event(ORDERED, data | {"client_id": "x" * 262_144}, rng),
    }


def collide(client: Client, rng: random.Random) -> None:
    """An id that was used before, with another body. Only of what has surely been dealt with."""
    said = [m for m in client.messages if m.confirmed and not m.refused and m.key == ORDERED]
    for message in rng.sample(said, min(3, len(said))):
        content = json.loads(message.body)
        content["data"]["quantite"] += 1
        both = dict.fromkeys(("stock", "commande"), "id_collision")
        client.say(EXCHANGE, ORDERED, json.dumps(content).encode(), refused=both)


def _event(type_: str, data: dict[str, Any], rng: random.Random, **other: Any) -> bytes:
    number = uuid.UUID(int=rng.getrandbits(128), version=4)
    head = {"specversion": "1.0", "id": str(number), "type": type_, "source": "/clients/chaos"}
    return json.dumps(head | other | {"data": {"commande_id": f"RUBBISH-{number}"} | data}).encode()
