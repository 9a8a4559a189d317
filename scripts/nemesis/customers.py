"""Generates orders of every kind at a given rate; the same seed gives the same orders."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.nemesis.orders import EXCHANGE, make_order, random_kind

if TYPE_CHECKING:
    from scripts.nemesis.client import Client
    from scripts.nemesis.orders import ClientEvent

# Orders pile up at the client while the broker is away; above this number no new ones are made.
MOST_WAITING = 300
# Two independent sources, each with ids counted from 1: an id is unique within its source only.
SOURCES = ("/clients/chaos/nord", "/clients/chaos/sud")


class Customers:
    """A thread that gives the client its orders, and the cancellations when they are due."""

    def __init__(self, client: Client, rate: float, seed: int) -> None:
        self._client = client
        self._pause = 1.0 / rate
        self._rng = random.Random(seed)
        self._name = f"S{seed}"
        self._scheduled: list[tuple[float, int, ClientEvent]] = []
        self._numbers = itertools.count(1)
        self._ids = {source: itertools.count(1) for source in SOURCES}
        self._stopping = threading.Event()
        self.orders = 0
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the orders; publish the cancellations that are still owed at once."""
        self._stopping.set()
        self._thread.join()
        self._publish_due(float("inf"))

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            now = time.monotonic()
            if self._client.backlog < MOST_WAITING:
                self.orders += 1
                client_events = make_order(random_kind(self._rng), f"{self._name}-{self.orders:06d}", self._rng)
                source = SOURCES[self.orders % len(SOURCES)]
                for client_event in client_events:
                    scheduled = replace(
                        client_event, body=_from_source(client_event.body, source, next(self._ids[source]))
                    )
                    heapq.heappush(
                        self._scheduled, (now + scheduled.after_seconds, next(self._numbers), scheduled)
                    )
            self._publish_due(now)

    def _publish_due(self, now: float) -> None:
        while self._scheduled and self._scheduled[0][0] <= now:
            _, _, client_event = heapq.heappop(self._scheduled)
            self._client.publish(EXCHANGE, client_event.key, client_event.body, copies=client_event.copies)


def _from_source(body: bytes, source: str, number: int) -> bytes:
    """The same event as number `number` of this source."""
    content = json.loads(body) | {"source": source, "id": str(number)}
    return json.dumps(content, ensure_ascii=False).encode()
