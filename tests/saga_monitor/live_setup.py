"""The services on a real broker, and a monitor that reads it now and then, to produce anomalies on purpose."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import time
import uuid
from typing import TYPE_CHECKING, Any

from choregraphie import read_settings
from choregraphie.broker import open_history
from saga_monitor.diagnosis.anomalies import Anomaly, Thresholds, anomalies_of
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.broker_status import ask_broker
from saga_monitor.stream.catch_up import catch_up
from tests.support.order_saga import COMMAND, SAGAS
from tests.support.workers import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.saga_fixture import SagaFixture

# Whatever is silent for longer is looked at; the steps themselves take less.
STUCK_AFTER = 1.0


class LiveSetup:
    """Every service in a process of its own, and a monitor that reads now and then."""

    def __init__(self, ready: SagaFixture) -> None:
        self.saga = ready
        self.environment = environment(
            amqp_url=ready.url,
            monitor_database=ready.folder / "monitor.sqlite3",
            stuck_after=STUCK_AFTER,
            retry_delays=ready.settings["retry_delays"],
        )
        self._settings = read_settings(self.environment)

    def wrong(self) -> list[Anomaly]:
        """What is wrong now."""
        settings = self._settings
        status = asyncio.run(ask_broker(settings, SAGAS))
        store = Store(settings.monitor_database, SAGAS)
        try:
            opening = functools.partial(open_history, settings)
            assert asyncio.run(catch_up(opening, store, 20)) == []
        finally:
            store.close()
        queries = Queries(settings.monitor_database, settings.stuck_after, SAGAS)
        try:
            return anomalies_of(queries, status, dt.datetime.now(dt.UTC), Thresholds.of(settings, COMMAND))
        finally:
            queries.close()

    def settled(self, orders: int) -> None:
        """Wait until so many orders are known, and none is under way."""
        queries = Queries(self._settings.monitor_database, STUCK_AFTER, SAGAS)
        deadline = time.monotonic() + 90
        while True:
            self.wrong()
            totals = queries.totals(dt.datetime.now(dt.UTC))
            if (totals.instances, totals.in_flight) == (orders, 0):
                break
            assert time.monotonic() < deadline, totals
        queries.close()

    def named(
        self,
        order: str | None,
        kind: str,
        service: str | None,
        reason: str,
        outbox_event: str = "",
        otherwise: Callable[[], object] = lambda: None,
    ) -> str:
        """The sentence of this anomaly, which must say that; after each look that misses it do `otherwise`."""
        deadline = time.monotonic() + 90
        while True:
            found = self.wrong()
            for one in found:
                named = (one.key, one.kind, one.service, one.reason) == (order, kind, service, reason)
                if named and outbox_event in one.sentence:
                    return one.sentence
            assert time.monotonic() < deadline, [(a.key, a.kind, a.service, a.reason) for a in found]
            otherwise()
            time.sleep(0.2)

    def restart(self, service: str, **settings: Any) -> None:
        assert self.saga.workers[service].end() == 0
        self.start_again(service, **settings)

    def start_again(self, service: str, **settings: Any) -> None:
        """Start the worker of a service whose last one has ended, and wait until it hears."""
        self.saga.start(service, **settings).await_ready(times=1 + self._begun(service))

    def _begun(self, service: str) -> int:
        return len(self.saga.workers[service].logged("worker.ready"))

    def timed_order(self, at: dt.datetime) -> str:
        order = self.saga.new_id()
        bought = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": 5}
        self.saga.publish("commande.initiee", {"commande_id": order, **bought}, time=at.isoformat())
        return order

    def say(self, type_: str, order: str, cause: str | None, exchange: str | None = None, **data: Any) -> None:
        """Say it as the service that it belongs to would, from outside."""
        service = type_.partition(".")[0]
        envelope = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": type_,
            "source": f"/services/{service}",
            "time": dt.datetime.now(dt.UTC).isoformat(),
            "data": {"commande_id": order, **data},
        }
        about = envelope | ({"causationid": cause} if cause else {})
        assert self.saga.foreign_client.publish(exchange or f"{service}.events", type_, about)
