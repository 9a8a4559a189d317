"""The clients of a run, who publish what its plan says; and an operator, who redrives dead letters."""

from collections.abc import Callable, Sequence
from typing import Any

from choregraphie import Reason
from choregraphie.messaging import Outgoing, PublishOutcome
from choregraphie.saga.topology import ATTEMPT_HEADER, dlq, requeue
from choregraphie.simulator.final_state import reason_of
from choregraphie.simulator.network import GRID_SECONDS, Network
from choregraphie.simulator.plan import ClientAction
from choregraphie.simulator.queues import Message

_AGAIN_HOPS = 4


class Clients:
    """Carries out the actions of a plan. `confirmed`: those whose message the broker has confirmed."""

    def __init__(self, network: Network, message_of: Callable[[Any], Outgoing]) -> None:
        self._network = network
        self._message_of = message_of
        self.confirmed: list[Any] = []

    async def perform(self, action: ClientAction) -> None:
        """Publish the message of `action` at its time, again until the broker confirms it."""
        await self._network.pause(action.at / GRID_SECONDS)
        self._network.trace.note("client", f"says {action.kind} {action.what}".strip(), key=action.key)
        while await self._network.publish("client", [self._message_of(action)]) != [PublishOutcome.CONFIRMED]:
            await self._network.pause(_AGAIN_HOPS)
        self.confirmed.append(action)


class Operator:
    """Redrives dead letters as a foreign tool would: with every header that is on them."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def redrive(self, services: Sequence[str], times: int) -> int:
        """Redrive each dead letter that can be retried, `times` times.

        Returns how many there were. The others stay: no service can ever read them.
        """
        count = 0
        for service in services:
            queue = self._network.broker.queues[dlq(service)]
            left = []
            for _ in range(len(queue)):
                taken = queue.take()
                assert taken is not None  # noqa: S101 - it is not empty
                number, message = taken
                if not can_be_retried(message):
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
        self._network.trace.note("operator", f"puts {back.routing_key} back to {service}")
        while await self._network.publish("operator", [back]) != [PublishOutcome.CONFIRMED]:
            await self._network.pause(_AGAIN_HOPS)


def can_be_retried(message: Message) -> bool:
    """Whether it was dead-lettered after failures, by a service or the broker, so that a retry may succeed."""
    return reason_of(message) in {Reason.EXHAUSTED, "delivery_limit"}


def _outgoing(message: Message, service: str) -> Outgoing:
    type_ = message.properties.type or message.routing_key
    headers = {name: value for name, value in message.headers.items() if name != ATTEMPT_HEADER}
    properties = message.properties._replace(message_id=message.properties.message_id or "redriven")
    return Outgoing(requeue(service), type_, message.body, properties, headers)
