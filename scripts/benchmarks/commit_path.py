"""The measured process of `bench commits`: one service on one database, from received bytes to those to publish.

It reads a command a line on standard input, `{"group": 64, "groups": 10}`, and answers each with the microseconds
a delivery of every part of the path. It is a process of its own: PYTHONPATH says which checkout is measured.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import logging
import sys
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Text, text

from choregraphie.cli import run
from choregraphie.messaging import ContentHeader, Delivery, Properties
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.executor import execute
from choregraphie.saga.envelope import CONTENT_TYPE, Event, wrap
from choregraphie.saga.topology import events
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.inbox import METADATA
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.store import Store, StoreLimits
from contracts.client import CommandeInitiee
from contracts.commande import CommandeCreee
from contracts.paiement import PaiementEffectue
from contracts.stock import StockReserve
from services.application import APP
from services.notification.reactions import Envoye
from services.paiement.passerelle import Reponse
from services.settings import OrderSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from choregraphie.service.service import Service

# As a worker sets it; a checkout measured as a baseline may not have it.
COLLECT_EVERY = getattr(run, "COLLECT_EVERY", 700)

# Orders that lie between the first event that a service hears of an order and the second.
IN_FLIGHT = 200
PRODUCTS, CLIENTS = 10, 1000
# What the copies of an order have of their own; the other columns are copied as they are.
_SHARED = {"saga", "action", "type", "source"}
_KEYS = {"key", "commande_id"}


def heard_by(service: str, number: int) -> list[Event]:
    """What a service hears of one order that is created."""
    about: dict[str, Any] = {"commande_id": f"CMD-{uuid.uuid4()}"}
    montant = Decimal(number % 900 + 1) / 10
    ordered: dict[str, Any] = {
        "client_id": f"CLIENT-{number % CLIENTS}",
        "produit_id": f"PROD-{number % PRODUCTS}",
    }
    ordered |= {"quantite": 1, "montant": montant}
    initiee = CommandeInitiee(**about, **ordered)
    creee = CommandeCreee(**about)
    if service == "stock":
        return [initiee, creee]
    if service == "paiement":
        return [StockReserve(**about, reservation_id=str(uuid.uuid4()), **ordered)]
    if service == "commande":
        return [initiee, PaiementEffectue(**about, transaction_id=str(uuid.uuid4()), montant=montant)]
    return [creee]


def deliveries(service: str) -> Iterator[Delivery]:
    """An endless stream of deliveries: the later events of an order come IN_FLIGHT orders after its first."""
    waiting: deque[list[Event]] = deque()
    tag = order = 0
    while True:
        order += 1
        first, *later = heard_by(service, order)
        waiting.append(later)
        heard = [first, *(waiting.popleft() if len(waiting) > IN_FLIGHT else [])]
        for event in heard:
            tag += 1
            yield _delivery(tag, event)


def _delivery(tag: int, event: Event) -> Delivery:
    speaker = event.SAID_BY
    source = "/clients/bench" if speaker == "client" else f"/services/{speaker}"
    now = dt.datetime.now(dt.UTC)
    envelope = wrap(event, id=_time_ordered_id(now), source=source, time=now)
    return Delivery(
        tag=tag,
        body=envelope.to_bytes(),
        exchange=events(speaker),
        routing_key=event.TYPE,
        header=ContentHeader(properties=Properties(message_id=envelope.id, content_type=CONTENT_TYPE)),
    )


def _time_ordered_id(now: dt.datetime) -> str:
    # By hand: a checkout measured as a baseline may have no function for it.
    return f"{int(now.timestamp() * 1000):012x}{uuid.uuid4().hex[12:]}"


def _answer(service: str) -> Any:
    return Reponse(acceptee=True) if service == "paiement" else Envoye("confirmation", "a@b.invalid")


@dataclass
class Clocks:
    """The seconds of each part of the path: by the clock, and of this process's processor time."""

    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    processor: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def time(self, part: str, do: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        done = do()
        self.processor[part] += time.process_time() - processor
        self.wall[part] += time.perf_counter() - wall
        return done


@dataclass
class DeliveryPath:
    """The path of a group of deliveries through one service."""

    service: Service
    store: Store
    stream: Iterator[Delivery]
    published: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = Decoder(self.service)
        self._calls = any(handler.call for handler in self.service.reactions)
        self._answer = _answer(self.service.name)

    def group(self, size: int, clocks: Clocks) -> None:
        received = [next(self.stream) for _ in range(size)]
        group = clocks.time("decode", lambda: [self._decoder.decode(delivery) for delivery in received])
        if self._calls:
            group = clocks.time("begin", lambda: self._begin(group))
        results = clocks.time("commit", lambda: execute(self.store, group, (), self.published))
        assert len(results) == size, "an order of the benchmark was not carried out"  # noqa: S101
        said = clocks.time(
            "outgoing",
            lambda: [event.outgoing(self.service) for result in results for event in result.outbox_events],
        )
        self.published = [message.properties.message_id for message in said]

    def _begin(self, group: list[Invocation]) -> list[Invocation]:
        views = self.store.begin(group)
        assert all(views), "a call of the benchmark was not begun"  # noqa: S101
        return [invocation._replace(answer=self._answer) for invocation in group]


def multiply(service: Service, database: Database, orders: int) -> None:
    """Copy the rows of the orders stored so far under keys and ids of their own, until there are `orders`."""
    tables = [*METADATA.sorted_tables, *service.tables.sorted_tables]
    for table in tables:
        if not _KEYS & set(table.c.keys()):
            continue
        columns = [column for column in table.columns if column.autoincrement is not True]
        chosen = ", ".join(_copied(column, database.engine.dialect.name) for column in columns)
        names = ", ".join(f'"{column.name}"' for column in columns)
        copy = f"INSERT INTO {table.name} ({names}) SELECT {chosen} FROM {table.name} LIMIT :most"  # noqa: S608
        with database.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            stored = connection.execute(text(f"SELECT count(*) FROM {table.name}")).scalar_one()  # noqa: S608
            wanted = stored * orders // BASE
            while 0 < stored < wanted:
                connection.execute(text(copy), {"most": min(stored, wanted - stored)})
                stored = min(2 * stored, wanted)


def _copied(column: Any, dialect: str) -> str:
    unique = column.primary_key or column.unique or column.name in _KEYS
    if not unique or column.name in _SHARED or not isinstance(column.type, Text):
        return f'"{column.name}"'
    random = "lower(hex(randomblob(16)))" if dialect == "sqlite" else "md5(random()::text)"
    # Spread as those of new orders are: a client's keys over all keys, and ids after their time.
    return f"'CMD-' || {random}" if column.name in _KEYS else f'substr("{column.name}", 1, 13) || {random}'


# Orders that are stored by the path itself; the others are copies of their rows.
BASE = 1000


def prepare(name: str, url: str, folder: Path, orders: int) -> DeliveryPath:
    """A service whose database at `url` has `orders` orders."""
    (folder / "catalogue.toml").write_text(
        "[produits]\n"
        + "".join(f"PROD-{number} = 1000000000\n" for number in range(PRODUCTS))
        + "[comptes]\n"
        + "".join(f"CLIENT-{number} = 1000000000.00\n" for number in range(CLIENTS))
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    service = next(service for service in APP.services if service.name == name)
    settings = OrderSettings(database_url=url, catalogue=folder / "catalogue.toml")
    database = open_database(service, settings)
    store = Store(service, database, StoreLimits.of(settings), lambda: dt.datetime.now(dt.UTC))
    path = DeliveryPath(service, store, deliveries(name))
    heard = len(heard_by(name, 1))
    for _ in range((BASE * heard - (heard - 1) * IN_FLIGHT) // 100):
        path.group(100, Clocks())
    store.mark_published(path.published)
    multiply(service, database, orders)
    path.published = []
    with database.begin() as connection:
        if connection.dialect.name == "postgresql":  # which plans by its statistics
            connection.exec_driver_sql("ANALYZE")
    return path


def main() -> None:
    gc.set_threshold(COLLECT_EVERY)
    name, url, folder, orders = sys.argv[1:]
    path = prepare(name, url, Path(folder), int(orders))
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        clocks = Clocks()
        for _ in range(asked["groups"]):
            path.group(asked["group"], clocks)
        dealt = asked["group"] * asked["groups"]
        answer = {
            kind: {part: seconds / dealt * 1e6 for part, seconds in counted.items()}
            for kind, counted in (("wall", clocks.wall), ("processor", clocks.processor))
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
