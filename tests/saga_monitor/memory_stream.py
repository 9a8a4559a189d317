"""A history stream in memory, and orders of every kind for it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from choregraphie import BrokerUnavailable
from choregraphie.messaging import HistoryEntry, QueueCount
from choregraphie.saga.envelope import wrap
from choregraphie.saga.topology import HISTORY, REASON_HEADER, dlx, events, retry
from contracts.choreography import CHOREOGRAPHY
from tests.support.several_sagas import SEVERAL

START = dt.datetime(2024, 11, 22, 18, 47, tzinfo=dt.UTC)
KNOWN = CHOREOGRAPHY.event_types
_CLASSES = SEVERAL.saga_set.event_types
_DATA: dict[str, dict[str, Any]] = {
    "commande.initiee": {
        "client_id": "CLIENT-123",
        "produit_id": "PROD-456",
        "quantite": 2,
        "montant": Decimal("99.99"),
    },
    "commande.annulation_demandee": {"raison": "changed my mind"},
    "stock.reserve": {
        "reservation_id": "R-1",
        "client_id": "CLIENT-123",
        "produit_id": "PROD-456",
        "quantite": 2,
        "montant": Decimal("99.99"),
    },
    "stock.reservation_echouee": {"raison": "shortage"},
    "stock.libere": {"reservation_id": "R-1"},
    "paiement.effectue": {"transaction_id": "T-1", "montant": Decimal("99.99")},
    "paiement.echoue": {"raison": "insufficient balance"},
    "paiement.rembourse": {"transaction_id": "T-1", "montant": Decimal("99.99")},
    "commande.creee": {},
    "commande.annulee": {"raison": "refused"},
    "notification.envoyee": {"modele": "confirmation", "destinataire": "CLIENT-123"},
}


@dataclass(frozen=True)
class Line:
    """One event: its type, the type of its cause, and its time in ms after the order's beginning."""

    type: str
    cause: str | None = None
    ms: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


PLACED = [Line("commande.initiee")]
HELD = [*PLACED, Line("stock.reserve", "commande.initiee", 100)]
PAID = [*HELD, Line("paiement.effectue", "stock.reserve", 300)]
CREATED = [*PAID, Line("commande.creee", "paiement.effectue", 350)]
CONFIRMED = [*CREATED, Line("notification.envoyee", "commande.creee", 400, {"modele": "confirmation"})]
SHORTAGE = [*PLACED, Line("stock.reservation_echouee", "commande.initiee", 100)]
UNPAID = [*HELD, Line("paiement.echoue", "stock.reserve", 300)]


def undone(cause: str | None, ms: int = 500, modele: str = "annulation") -> list[Line]:
    """A cancellation and all its answers."""
    return [
        Line("commande.annulee", cause, ms),
        Line("stock.libere", "commande.annulee", ms + 50),
        Line("paiement.rembourse", "commande.annulee", ms + 80),
        Line("notification.envoyee", "commande.annulee", ms + 120, {"modele": modele}, id="second"),
    ]


ASKED = Line("commande.annulation_demandee", None, 450)
SCENARIOS: dict[str, list[Line]] = {
    "created": CONFIRMED,
    "refused by stock": [*SHORTAGE, *undone("stock.reservation_echouee")],
    "refused by payment": [*UNPAID, *undone("paiement.echoue")],
    "refused at creation": [*PAID, *undone("paiement.effectue")],
    "cancelled before creation": [*HELD, ASKED, *undone("commande.annulation_demandee")],
    "cancelled after creation": [
        *CONFIRMED,
        ASKED,
        *undone("commande.annulation_demandee", modele="rectificatif"),
    ],
    "deadline passed": [*HELD, *undone(None, 900_000)],
}


class Stream:
    """A history stream in memory; it implements `History`."""

    def __init__(self) -> None:
        self.kept: list[HistoryEntry] = []
        self.next = 0
        self.away = False
        self.sessions = 0
        self.idle_seconds = 0.001
        self.withheld = 0  # how many of the newest entries are not delivered
        self.lag = 0  # how many of the newest entries the broker has not counted yet
        self.pauses = 0  # empty batches before each batch, as from a slow broker
        self.batch = 100

    def add(
        self,
        body: bytes,
        exchange: str,
        headers: Mapping[str, object] | None = None,
        timestamp: dt.datetime | None = None,
        routing_key: str = "key",
    ) -> None:
        self.kept.append(HistoryEntry(self.next, exchange, routing_key, body, headers or {}, timestamp))
        self.next += 1

    def publish(self, key: str, lines: Sequence[Line], start: dt.datetime = START) -> None:
        """Append `lines`, each by the exchange of its publisher."""
        for line in lines:
            self.add(event_bytes(key, line, start), events(_CLASSES[line.type].SAID_BY))

    def retry(self, service: str, body: bytes, headers: Mapping[str, object] | None = None) -> None:
        self.add(body, retry(service), headers, START)

    def set_aside(self, service: str, body: bytes, reason: str | None = "exhausted") -> None:
        headers = {REASON_HEADER: reason} if reason else {"x-first-death-reason": "delivery_limit"}
        self.add(body, dlx(service), headers, START)

    def trim(self, count: int) -> None:
        del self.kept[:count]

    def recreate(self) -> None:
        self.kept, self.next = [], 0

    def opening(self) -> Callable[[], AbstractAsyncContextManager[Stream]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Stream]:
            if self.away:
                raise BrokerUnavailable("connection refused")
            self.sessions += 1
            yield self

        return opened

    async def entries(self, start: int | dt.datetime | Literal["first"]) -> AsyncGenerator[list[HistoryEntry]]:
        # From a time on, a broker may begin with any earlier chunk; here with the first.
        offset = start if isinstance(start, int) else 0
        pauses = self.pauses
        while True:
            if self.away:
                raise BrokerUnavailable("the channel was closed")
            if pauses:
                pauses -= 1
                await asyncio.sleep(self.idle_seconds)
                yield []
                continue
            pauses = self.pauses
            shown = self.kept[: len(self.kept) - self.withheld]
            found = [entry for entry in shown if entry.offset >= offset][: self.batch]
            if not found:
                await asyncio.sleep(self.idle_seconds)
            else:
                offset = found[-1].offset + 1
            yield found

    async def first(self) -> HistoryEntry | None:
        return self.kept[0] if self.kept else None

    async def last(self) -> HistoryEntry | None:
        return self.kept[-1] if self.kept else None

    async def counts(self, queues: Sequence[str]) -> dict[str, QueueCount]:
        counted = max(0, len(self.kept) - self.lag)
        return {queue: QueueCount(counted if queue == HISTORY else 0, 1) for queue in queues}


def event_bytes(key: str, line: Line, start: dt.datetime = START) -> bytes:
    """The bytes of one event, as published."""
    cls = _CLASSES[line.type]
    event = cls(**{cls.KEY: key, **_DATA.get(line.type, {}), **line.data})
    source = "/clients/boutique" if cls.SAID_BY == "client" else f"/services/{cls.SAID_BY}"
    return wrap(
        event,
        id=event_id(key, line),
        source=source,
        time=start + dt.timedelta(milliseconds=line.ms),
        causationid=event_id(key, Line(line.cause)) if line.cause else None,
    ).to_bytes()


def event_id(key: str, line: Line) -> str:
    """The id that `event_bytes` gives: readable, and the same for the same line."""
    return f"{key}/{line.id or line.type}"[-100:]
