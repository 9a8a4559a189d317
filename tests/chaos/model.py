"""A model of the broker, small enough to be believed: queues in memory, and the one rule by which messages vanish.

What `in_process.py` needs and no more: topic routing, redelivery after a lost session, retry queues that expire
when told to, and the dead-letter cycle (a message that is dead-lettered to a queue already
named in its `x-death` vanishes, and stays counted).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from choregraphie.messaging import Delivery, Outgoing, Properties, PublishOutcome
from choregraphie.saga.topology import HISTORY
from scripts.nemesis.history import Letter, QueueState, Spoken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from choregraphie.saga.topology import Topology

DEATHS = "x-death"


@dataclass(frozen=True)
class Held:
    """A message in a queue."""

    exchange: str
    key: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Properties = Properties()  # noqa: RUF009 - frozen
    redelivered: bool = False


class ModelBroker:
    def __init__(self, wanted: Topology) -> None:
        self._wanted = wanted
        self.queues: dict[str, deque[Held]] = defaultdict(deque)
        self.hidden: Counter[str] = Counter()
        self.spoken: list[Spoken] = []

    def publish(self, message: Held) -> None:
        for queue in self._routed(message.exchange, message.key):
            if queue == HISTORY:
                reason = message.headers.get("x-saga-reason")
                self.spoken.append(Spoken(message.exchange, message.key, message.body, reason))
            else:
                self.queues[queue].append(message)

    def expire(self) -> int:
        """Let every delay pass: what waits in retry queues goes on; how many."""
        number = 0
        for queue in self._wanted.queues:
            waiting = self.queues[queue.name]
            while "x-message-ttl" in queue.arguments and waiting:
                self._dead_letter(queue.name, waiting.popleft(), queue.arguments["x-dead-letter-exchange"])
                number += 1
        return number

    def _dead_letter(self, queue: str, message: Held, exchange: str) -> None:
        deaths = [{"queue": queue, "reason": "expired"}, *message.headers.get(DEATHS, [])]
        visited = {death["queue"] for death in deaths if death["reason"] != "rejected"}
        for target in self._routed(exchange, message.key):
            if target in visited:
                self.hidden[queue] += 1
            elif target != HISTORY:
                headers = {**message.headers, DEATHS: deaths}
                self.queues[target].append(replace(message, exchange=exchange, headers=headers))

    def _routed(self, exchange: str, key: str) -> set[str]:
        return {b.queue for b in self._wanted.bindings if b.exchange == exchange and _matches(b.key, key)}

    def letters(self) -> tuple[Letter, ...]:
        return tuple(
            Letter(name.removesuffix(".dlq"), held.body, held.headers.get("x-saga-reason"))
            for name, queue in self.queues.items()
            if name.endswith(".dlq")
            for held in queue
        )

    def states(self) -> tuple[QueueState, ...]:
        names = [queue.name for queue in self._wanted.queues if queue.name != HISTORY]
        ready = {name: len(self.queues[name]) for name in names}
        return tuple(QueueState(name, ready[name] + self.hidden[name], ready[name], 0, 0) for name in names)


def _matches(pattern: str, key: str) -> bool:
    """Only the patterns that the topology uses: `#`, `word.#` and plain words."""
    return pattern in {"#", key} or (pattern.endswith(".#") and key.startswith(pattern[:-1]))


class ModelDoor:
    """One session of one service. What it does not settle comes again once it is lost."""

    def __init__(self, broker: ModelBroker, service: str) -> None:
        self._broker = broker
        self._inbox = broker.queues[f"{service}.inbox"]
        self._tags = itertools.count(1)
        self._taken: dict[int, Held] = {}
        self.lost: str | None = None

    @property
    def idle(self) -> bool:
        return not self._inbox and not self._taken

    def lose(self) -> None:
        for held in reversed(self._taken.values()):
            self._inbox.appendleft(replace(held, redelivered=True))
        self._taken.clear()

    async def until_lost(self) -> str:
        await asyncio.Event().wait()
        return ""

    async def consume(self) -> None: ...

    async def deliveries(self, most: int) -> list[Delivery]:
        if not self._inbox:
            # Nobody else works meanwhile, so nothing more will come in this session.
            await asyncio.Event().wait()
        return [self._take() for _ in range(min(most, len(self._inbox)))]

    def _take(self) -> Delivery:
        held, tag = self._inbox.popleft(), next(self._tags)
        self._taken[tag] = held
        return Delivery(tag, held.body, held.exchange, held.key, held.headers, held.properties, held.redelivered)

    async def publish(self, batch: Sequence[Outgoing]) -> list[PublishOutcome]:
        for out in batch:
            self._broker.publish(Held(out.exchange, out.routing_key, out.body, out.headers, out.properties))
        return [PublishOutcome.CONFIRMED for _ in batch]

    async def settle(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._taken.pop(tag, None)

    async def requeue(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._inbox.appendleft(self._taken.pop(tag))

    async def is_consuming(self) -> bool:
        return True

    async def stop_deliveries(self) -> list[Delivery]:
        return []
