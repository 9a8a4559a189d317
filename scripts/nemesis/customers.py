"""Customers: orders of every kind, all the while, at a rate; the same ones for the same seed."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.nemesis.orders import EXCHANGE, any_kind, make

if TYPE_CHECKING:
    from scripts.nemesis.client import Client
    from scripts.nemesis.orders import Saying

# While the broker is away orders pile up at the client; beyond this customers go elsewhere.
MOST_WAITING = 300
# Two shops that know nothing of one another: each numbers its events from one.
SHOPS = ("/clients/chaos/nord", "/clients/chaos/sud")


class Customers:
    """A thread that gives the client its orders, and the cancellations when their time has come."""

    def __init__(self, client: Client, rate: float, seed: int) -> None:
        self._client = client
        self._pause = 1.0 / rate
        self._dice = random.Random(seed)
        self._name = f"S{seed}"
        self._later: list[tuple[float, int, Saying]] = []
        self._numbers = itertools.count(1)
        self._ids = {shop: itertools.count(1) for shop in SHOPS}
        self._stopping = threading.Event()
        self.orders = 0
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more orders; the cancellations still owed are said at once."""
        self._stopping.set()
        self._thread.join()
        self._say_due(float("inf"))

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            now = time.monotonic()
            if self._client.backlog < MOST_WAITING:
                self.orders += 1
                outbox_events = make(any_kind(self._dice), f"{self._name}-{self.orders:06d}", self._dice)
                shop = SHOPS[self.orders % len(SHOPS)]
                for outbox_event in outbox_events:
                    said = replace(outbox_event, body=_of_shop(outbox_event.body, shop, next(self._ids[shop])))
                    heapq.heappush(self._later, (now + said.after_seconds, next(self._numbers), said))
            self._say_due(now)

    def _say_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, outbox_event = heapq.heappop(self._later)
            self._client.say(EXCHANGE, outbox_event.key, outbox_event.body, copies=outbox_event.copies)


def _of_shop(body: bytes, shop: str, number: int) -> bytes:
    """The same event, as the `number`th that this shop says."""
    content = json.loads(body) | {"source": shop, "id": str(number)}
    return json.dumps(content, ensure_ascii=False).encode()
