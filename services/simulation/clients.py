"""The clients of a run: they say what the plan says until the broker has confirmed it. And the operator."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from choregraphie import Reason
from choregraphie.messaging import Outgoing, Properties, PublishOutcome
from choregraphie.saga.envelope import Event, wrap
from choregraphie.saga.topology import ATTEMPT_HEADER, dlq, events, requeue
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from services.simulation.clock import EPOCH
from services.simulation.facts import reason_of
from services.simulation.network import GRID_SECONDS, Network
from services.simulation.plan import Act
from services.simulation.queues import Message

_AGAIN_HOPS = 4


def message_of(act: Act) -> Outgoing:
    """The message that `act` publishes."""
    said: Event
    if act.kind == "cancel":
        said = CommandeAnnulationDemandee(commande_id=act.order, raison="changement d'avis")
    else:
        said = CommandeInitiee(
            commande_id=act.order,
            client_id=act.client,
            produit_id=act.produit,
            quantite=act.quantite,
            montant=Decimal(act.montant),
        )
    body = wrap(said, id=act.event, source=act.source, time=EPOCH).to_bytes()
    properties = Properties(message_id=act.event, type=said.TYPE, correlation_id=act.order, app_id="client")
    return Outgoing(events("client"), said.TYPE, _spoilt(act.what, body), properties)


def _spoilt(what: str, body: bytes) -> bytes:
    """What garbage of that kind looks like; "" leaves the body alone."""
    if what == "not json":
        return body[:-10]
    changes: dict[str, dict[str, Any]] = {
        "": {},
        "no data": {"data": {}},
        "unknown type": {"type": "commande.rêvée"},
        "unknown version": {"dataschema": "urn:choregraphie:commande.initiee:99"},
        "other subject": {"subject": "CMD-AUTRE"},
        "forged": {"source": "/services/stock"},
        "another's event": {"type": "paiement.effectue", "dataschema": None},
    }
    return json.dumps(json.loads(body) | changes[what]).encode() if what else body


class Clients:
    """`confirmed`: every message that the broker has taken for good, by event id."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.confirmed: list[Act] = []

    async def carry_out(self, act: Act) -> None:
        """Say it at its time, again and again until it is confirmed."""
        await self._network.pause(act.at / GRID_SECONDS)
        self._network.diary.note("client", f"says {act.kind} {act.what}".strip(), order=act.order)
        while await self._network.publish("client", [message_of(act)]) != [PublishOutcome.CONFIRMED]:
            await self._network.pause(_AGAIN_HOPS)
        self.confirmed.append(act)


class Operator:
    """Puts dead letters back, as a foreign tool would: with every header that is on them."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def redrive(self, services: Sequence[str], times: int) -> int:
        """Send back, so many times each, whatever was given up, leaving what nobody should read; how many."""
        count = 0
        for service in services:
            queue = self._network.broker.queues[dlq(service)]
            left = []
            for _ in range(len(queue)):
                taken = queue.take()
                assert taken is not None  # noqa: S101 - it is not empty
                number, message = taken
                if not was_given_up(message):
                    left.append(number)
                    continue
                for _ in range(times):
                    await self._put_back(message, service)
                queue.ack(number)
                count += 1
            for number in left:
                queue.requeue(number)
        return count

    async def _put_back(self, message: Message, service: str) -> None:
        back = _outgoing(message, service)
        self._network.diary.note("operator", f"puts {back.routing_key} back to {service}")
        while await self._network.publish("operator", [back]) != [PublishOutcome.CONFIRMED]:
            await self._network.pause(_AGAIN_HOPS)


def was_given_up(message: Message) -> bool:
    """Set aside for want of success, by us or by the broker, so that trying again may help."""
    return reason_of(message) in {Reason.EXHAUSTED, "delivery_limit"}


def _outgoing(message: Message, service: str) -> Outgoing:
    type_ = message.properties.type or message.routing_key
    headers = {name: value for name, value in message.headers.items() if name != ATTEMPT_HEADER}
    properties = message.properties._replace(message_id=message.properties.message_id or "redriven")
    return Outgoing(requeue(service), type_, message.body, properties, headers)
