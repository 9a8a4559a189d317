"""The load: orders as ready AMQP frames, published to keep the system saturated or at a given rate."""

from __future__ import annotations

import datetime as dt
import itertools
import time
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from pamqp import commands

from scripts.benchmarks.system.amqp import Connection, FixedRoute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Write = Callable[[bytes], bytes]
PRODUCTS, CLIENTS = 100, 1000
# A client with money, whose orders the service `commande` refuses: everything done for them is undone.
BLOCKED = "C-BLOQUE"
NONE = Fraction(0)
# Orders under way while the system is saturated: two seconds' worth, and at least enough to fill every prefetch.
LEAST_UNDER_WAY, SECONDS_UNDER_WAY = 600, 2.0
_AT_ONCE = 50
_PAUSE_SECONDS = 0.01
_LONGEST_WAIT_SECONDS = 180


def catalogue(path: Path) -> Path:
    """Write the starting data: enough of every product, and money enough for every order."""
    products = "".join(f"P-{n} = 1000000000\n" for n in range(PRODUCTS))
    clients = "".join(f"C-{n} = 1000000000.00\n" for n in range(CLIENTS))
    clients += f"{BLOCKED} = 1000000000.00\n"
    path.write_text(f'[produits]\n{products}[comptes]\n{clients}[clients]\nbloques = ["{BLOCKED}"]\n')
    return path


def bodies(first: int = 0, client: str = "", refused: Fraction = NONE) -> Iterator[tuple[str, bytes]]:
    """Orders without end, each with its key: `commande.initiee` as a foreign client writes it.

    `client` orders all of them; by default every client of the catalogue. Of any N of them from the first on,
    `refused * N`, rounded down, are of BLOCKED.
    """
    # One time for all: what it is plays no part, and writing it anew would cost more than the rest of the body.
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    run = uuid.uuid4().hex[:12]
    for number in itertools.count(first):
        key = f"CMD-{run}-{number:07d}"
        # Strides that have no divisor in common with the counts, so that neighbours differ.
        product, buyer = number * 37 % PRODUCTS, client or f"C-{number * 389 % CLIENTS}"
        if refused and int((number + 1) * refused) > int(number * refused):
            buyer = BLOCKED
        yield (
            key,
            (
                f'{{"specversion":"1.0","id":"{run}-{number:019d}","type":"commande.initiee",'
                f'"source":"/clients/bench","subject":"{key}","time":"{now}","datacontenttype":"application/json",'
                f'"dataschema":"urn:choregraphie:commande.initiee:1","correlationid":"{key}","data":{{"commande_id":'
                f'"{key}","client_id":"{buyer}","produit_id":"P-{product}","quantite":2,"montant":99.99}}}}'
            ).encode(),
        )


def _envelope_route() -> FixedRoute:
    properties = commands.Basic.Properties(
        content_type="application/cloudevents+json",
        delivery_mode=2,
        message_id=str(uuid.uuid4()),
        message_type="commande.initiee",
        app_id="bench",
    )
    return FixedRoute("client.events", "commande.initiee", properties)


_ENVELOPE = _envelope_route()


def envelope(order: bytes) -> bytes:
    """The frames of an order as a client of ours sends it."""
    return _ENVELOPE.frames(order)


class Publisher:
    """Publishes orders on a connection of its own. `write` makes the frames of an order."""

    def __init__(self, url: str, orders: Iterator[tuple[str, bytes]], write: Write = envelope) -> None:
        self._connection = Connection(url)
        self._connection.confirm()
        self._orders = orders
        self._write = write
        self.published = 0

    def publish(self, count: int) -> list[str]:
        """Publish `count` orders in one write. Returns their keys."""
        orders = list(itertools.islice(self._orders, count))
        self._connection.send(b"".join(self._write(body) for _, body in orders))
        self.published += count
        return [key for key, _ in orders]

    def wait(self, seconds: float) -> None:
        """Take the confirms that come within that time."""
        end = time.monotonic() + seconds
        while self._connection.readable(max(0.0, end - time.monotonic())):
            # What was lost shows in what the services store; a refusal raises here.
            self._connection.receive()

    def close(self) -> None:
        self._connection.close()


def saturate(
    publisher: Publisher, done: Callable[[], int], seconds: float, most: int | None = None
) -> tuple[int, float]:
    """Keep the system saturated for `seconds`, or until `most` orders are published.

    `done` counts the orders that are finished. Returns the orders published, and the
    time.monotonic() of the first.
    """
    start, before = time.monotonic(), publisher.published
    while (elapsed := time.monotonic() - start) < seconds:
        published, finished = publisher.published - before, done()
        if most is not None and published >= most:
            break
        room = _under_way(finished, elapsed) - (published - finished)
        if most is not None:
            room = min(room, most - published)
        if room > 0:
            publisher.publish(min(room, _AT_ONCE))
        publisher.wait(0 if room > _AT_ONCE else _PAUSE_SECONDS)
    return publisher.published - before, start


def _under_way(finished: int, elapsed: float) -> int:
    rate = finished / elapsed if elapsed > 1 else 0.0
    return max(LEAST_UNDER_WAY, round(rate * SECONDS_UNDER_WAY))


def wait_until(reached: Callable[[], bool], check: Callable[[], None]) -> None:
    """Wait for `reached`; `check` raises when it never will be. Raises TimeoutError after three minutes."""
    end = time.monotonic() + _LONGEST_WAIT_SECONDS
    while not reached():
        check()
        if time.monotonic() > end:
            raise TimeoutError(f"not reached within {_LONGEST_WAIT_SECONDS} s")
        time.sleep(_PAUSE_SECONDS)
