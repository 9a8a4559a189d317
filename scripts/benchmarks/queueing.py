"""A queueing model of the order saga: broker nodes, inboxes with partitions, workers that commit groups. Pure.

A worker is one processor: it takes what waits in its partition, up to a group, and is busy for a fixed time and a
time for each delivery. A message costs a processor of the node that leads its queue, and the one process of that
queue. No fault happens, and the network takes no time.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The order that is created: what each event leads to.
ROUTES: dict[str, tuple[tuple[str, str], ...]] = {
    "commande.initiee": (("stock", "commande.initiee"), ("commande", "commande.initiee")),
    "stock.reserve": (("paiement", "stock.reserve"),),
    "paiement.effectue": (("commande", "paiement.effectue"),),
    "commande.creee": (("stock", "commande.creee"), ("notification", "commande.creee")),
}
SAYS = {
    ("stock", "commande.initiee"): "stock.reserve",
    ("paiement", "stock.reserve"): "paiement.effectue",
    ("commande", "paiement.effectue"): "commande.creee",
}
DELIVERIES = {"stock": 2, "paiement": 1, "commande": 2, "notification": 1}
# The group that a worker commits, and its cost beside the deliveries: a flush to the disk, a round of confirms.
GROUP, GROUP_SECONDS = 64, 0.002
# What one queue passes on in a second. Assumed: a queue is one process of the broker.
QUEUE_PER_SECOND = 20_000.0


@dataclass(frozen=True)
class Plant:
    """What there is. `workers` and `partitions` by service; a partition has at least one worker."""

    workers: Mapping[str, int]
    partitions: Mapping[str, int]
    nodes: int
    node_cores: int
    delivery_seconds: float
    broker_seconds: float


@dataclass(frozen=True)
class Outcome:
    """The times are None when no order was created.

    left       orders that had not ended at the end
    overtaken  events that were handled after a later one of their order
    """

    created_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    left: int
    overtaken: int


@dataclass
class _Partition:
    """A queue with its workers. `free`: when its process and the idle workers may go on."""

    service: str
    cores: list[float]
    idle: int
    process_free: float = 0.0
    waiting: deque[tuple[int, str]] = field(default_factory=deque)


class _Run:
    def __init__(self, plant: Plant, seed: int) -> None:
        self._plant = plant
        self._rng = random.Random(seed)  # noqa: S311 - a simulation
        self._events: list[tuple[float, int, str, object]] = []
        self._number = 0
        nodes = [[0.0] * plant.node_cores for _ in range(plant.nodes)]
        self._queues = {name: self._partitions(name, nodes) for name in plant.workers}
        self._handled: dict[tuple[str, int], int] = {}
        self.began: dict[int, float] = {}
        self.created: dict[int, float] = {}
        self.overtaken = 0

    def _partitions(self, service: str, nodes: list[list[float]]) -> list[_Partition]:
        count, workers = self._plant.partitions[service], self._plant.workers[service]
        first = sorted(self._plant.workers).index(service)
        shares = [len(range(number, workers, count)) for number in range(count)]
        return [_Partition(service, nodes[(first + n) % len(nodes)], share) for n, share in enumerate(shares)]

    def at(self, time: float, what: str, detail: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (time, self._number, what, detail))

    def go(self, rate: float, seconds: float) -> None:
        """Orders come at random instants, `rate` a second; the run ends with the last of them."""
        key, time = 0, 0.0
        while time < seconds:
            key, time = key + 1, time + self._rng.expovariate(rate)
            self.at(time, "begin", key)
        while self._events and self._events[0][0] <= seconds:
            now, _, what, detail = heapq.heappop(self._events)
            getattr(self, f"_{what}")(now, detail)

    def _begin(self, now: float, key: int) -> None:
        self.began[key] = now
        self._say(now, "commande.initiee", key)

    def _say(self, now: float, event: str, key: int) -> None:
        for service, heard in ROUTES.get(event, ()):
            queues = self._queues[service]
            queue = queues[key % len(queues)]
            # The processor of the node that is free first, then the queue's own process.
            start = max(now, heapq.heappop(queue.cores))
            heapq.heappush(queue.cores, start + self._plant.broker_seconds)
            passed = max(start + self._plant.broker_seconds, queue.process_free + 1 / QUEUE_PER_SECOND)
            queue.process_free = passed
            self.at(passed, "arrive", (queue, key, heard))

    def _arrive(self, now: float, detail: tuple[_Partition, int, str]) -> None:
        queue, key, heard = detail
        queue.waiting.append((key, heard))
        self._work(now, queue)

    def _work(self, now: float, queue: _Partition) -> None:
        if not queue.idle or not queue.waiting:
            return
        queue.idle -= 1
        group = [queue.waiting.popleft() for _ in range(min(GROUP, len(queue.waiting)))]
        until = now + GROUP_SECONDS + len(group) * self._plant.delivery_seconds
        self.at(until, "commit", (queue, group))

    def _commit(self, now: float, detail: tuple[_Partition, list[tuple[int, str]]]) -> None:
        queue, group = detail
        for key, heard in group:
            self._handle(now, queue.service, key, heard)
        queue.idle += 1
        self._work(now, queue)

    def _handle(self, now: float, service: str, key: int, heard: str) -> None:
        first = heard == "commande.initiee"
        self.overtaken += first and (service, key) in self._handled
        self._handled[service, key] = 1
        said = SAYS.get((service, heard))
        if said == "commande.creee":
            self.created[key] = now
        if said:
            self._say(now, said, key)


def simulate(plant: Plant, rate: float, seconds: float, seed: int) -> Outcome:
    """Run the model. The first half of `seconds` fills it; the figures are of orders that began after that."""
    run = _Run(plant, seed)
    run.go(rate, seconds)
    measured = [key for key, time in run.began.items() if time >= seconds / 2]
    times = sorted(run.created[key] - run.began[key] for key in measured if key in run.created)
    during = sum(time >= seconds / 2 for time in run.created.values())
    return Outcome(
        created_per_second=during / (seconds / 2),
        p50_ms=_quantile_ms(times, 0.5),
        p99_ms=_quantile_ms(times, 0.99),
        left=len(run.began) - len(run.created),
        overtaken=run.overtaken,
    )


def _quantile_ms(times: list[float], share: float) -> float | None:
    return times[min(len(times) - 1, int(share * len(times)))] * 1000 if times else None
