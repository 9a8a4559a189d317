"""Open-loop load: orders at a fixed rate whatever the system does, and how long each takes until `commande.creee`.

The time of an order runs from the instant at which it was due, not from when it was published: a system that holds
the publisher up would otherwise hide its worst times (coordinated omission).
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from scripts.benchmarks.system.amqp import BrokerSaidNoError, Connection, Delivered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.benchmarks.system.load import Publisher

# In the messages of some frameworks the envelope is a string, and its quotes are escaped.
_SUBJECT = re.compile(rb'\\?"subject\\?": ?\\?"([^"\\]+)')
# How long the last orders may take; those that are not there by then count with the time they have waited.
PATIENCE_SECONDS = 5.0
_TICK_SECONDS = 0.001


class Times(NamedTuple):
    """The latencies of one run in ms, and how many of its orders were not created when the waiting ended."""

    ms: list[float]
    missing: int


class Arrivals:
    """The time.monotonic() at which an event of each order arrives, on a thread of its own."""

    def __init__(self, url: str, exchange: str = "commande.events", type_: str = "commande.creee") -> None:
        self.at: dict[str, float] = {}
        self._connection = Connection(url)
        self._connection.subscribe(exchange, type_)
        self._closing = False
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while not self._closing:
            if not self._connection.readable(0.1):
                continue
            try:
                received = self._connection.receive()
            except BrokerSaidNoError:
                return
            now = time.monotonic()
            for one in received:
                if isinstance(one, Delivered):
                    self.at[key_of(one.body)] = now

    def close(self) -> None:
        self._closing = True
        self._thread.join(5)
        self._connection.close()


def key_of(body: bytes) -> str:
    """The order that an envelope is about, without parsing it. Raises ValueError when it names none."""
    found = _SUBJECT.search(body)
    if found is None:
        raise ValueError(f"no subject in {body[:200]!r}")
    return found[1].decode()


def offer(publisher: Publisher, rate: float, seconds: float) -> dict[str, float]:
    """Publish orders at `rate` a second for `seconds`. Returns the time.monotonic() at which each was due."""
    due: dict[str, float] = {}
    count, start = round(rate * seconds), time.monotonic()
    while len(due) < count:
        late = min(count, int((time.monotonic() - start) * rate) + 1)
        for number, key in enumerate(publisher.publish(late - len(due)), start=len(due)):
            due[key] = start + number / rate
        next_due = start + len(due) / rate
        publisher.wait(max(_TICK_SECONDS, next_due - time.monotonic()))
    return due


def times(due: Mapping[str, float], arrivals: Arrivals) -> Times:
    """Wait for the orders that were due, at most PATIENCE_SECONDS beyond the last one."""
    end = max(due.values()) + PATIENCE_SECONDS
    while due.keys() - arrivals.at.keys() and time.monotonic() < end:
        time.sleep(0.05)
    return latencies(due, dict(arrivals.at), time.monotonic())


def latencies(due: Mapping[str, float], at: Mapping[str, float], now: float) -> Times:
    """The latency of each order; one that has not arrived has waited until `now`."""
    found = [(at.get(key, now) - instant) * 1000 for key, instant in due.items()]
    return Times(found, sum(key not in at for key in due))
