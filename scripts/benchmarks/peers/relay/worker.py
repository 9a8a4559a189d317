"""One service of the relay: forwards each message as the next event, waits for the confirm, then acknowledges.

The body stays the same, so nothing is parsed; whatever one read of the socket brings is answered with one write.
Usage: python -m scripts.benchmarks.peers.relay.worker SERVICE URL COUNT_FILE
"""

from __future__ import annotations

import collections
import os
import sys
from pathlib import Path

from pamqp import commands

from scripts.benchmarks.system.amqp import Confirmed, Confirms, Connection, Delivered, FixedRoute, acknowledgement

PREFETCH = 1000
# What each service says to what it hears; to the others it says nothing.
NEXT = {
    ("stock", "commande.initiee"): "stock.reserve",
    ("paiement", "stock.reserve"): "paiement.effectue",
    ("commande", "paiement.effectue"): "commande.creee",
    ("notification", "commande.creee"): "notification.envoyee",
}


class Relay:
    """The connections of one service. One publishes, the other consumes, as the engine's do."""

    def __init__(self, service: str, url: str, counts: Path) -> None:
        self._routes = {heard: _route(service, said) for (who, heard), said in NEXT.items() if who == service}
        self._publishing, self._consuming = Connection(url), Connection(url)
        self._publishing.confirm()
        self._consuming.consume(f"{service}.inbox", PREFETCH)
        self._confirms = Confirms()
        self._published = 0
        self._handled = 0
        self._counts = os.open(counts, os.O_CREAT | os.O_WRONLY)
        # Of each delivery that is not acknowledged: its tag, and how many messages were published by then.
        self._open: collections.deque[tuple[int, int]] = collections.deque()

    def step(self) -> None:
        """Forward what one read brings, wait for the confirms, acknowledge."""
        frames = []
        for delivered in self._consuming.receive():
            assert isinstance(delivered, Delivered)  # noqa: S101 - this connection publishes nothing
            route = self._routes.get(delivered.routing_key)
            if route:
                frames.append(route.frames(delivered.body))
                self._published += 1
            self._open.append((delivered.tag, self._published))
        if frames:
            self._publishing.send(b"".join(frames))
        while self._confirms.low <= self._published:
            for confirmed in self._publishing.receive():
                assert isinstance(confirmed, Confirmed)  # noqa: S101 - this connection consumes nothing
                self._confirms.take(confirmed)
        self._acknowledge()

    def _acknowledge(self) -> None:
        last = 0
        while self._open and self._open[0][1] < self._confirms.low:
            last, _ = self._open.popleft()
            self._handled += 1
        if last:
            self._consuming.send(acknowledgement(last))
            os.pwrite(self._counts, self._handled.to_bytes(8, "little"), 0)


def _route(service: str, said: str) -> FixedRoute:
    properties = commands.Basic.Properties(
        content_type="application/cloudevents+json",
        delivery_mode=2,
        message_id="0198f3d2-0000-7000-8000-000000000000",
        message_type=said,
        app_id=service,
    )
    return FixedRoute(f"{service}.events", said, properties)


def main() -> None:
    service, url, counts = sys.argv[1:]
    relay = Relay(service, url, Path(counts))
    while True:
        relay.step()


if __name__ == "__main__":
    main()
