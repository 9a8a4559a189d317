"""A valid history, written by hand, for the checkers' tests to corrupt in one place at a time.

One order is created, one created and then cancelled, one short of stock; one forged event is dead-lettered.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.databases import (
    Commande,
    Compte,
    Databases,
    Debit,
    Envoi,
    OutboxRow,
    Rayon,
    Reservation,
    ServiceTables,
)
from scripts.nemesis.history import (
    Charge,
    DeadLetter,
    History,
    Mail,
    MonitorConnection,
    MonitorState,
    Published,
    QueueState,
    StreamEntry,
    WorkerState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = {
    "A": ("commande.initiee", "stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee"),
    "B": (
        "commande.initiee",
        "stock.reserve",
        "paiement.effectue",
        "commande.creee",
        "commande.annulation_demandee",
        "commande.annulee",
        "stock.libere",
        "paiement.rembourse",
        "notification.envoyee",
    ),
    "C": (
        "commande.initiee",
        "stock.reservation_echouee",
        "commande.annulee",
        "stock.libere",
        "paiement.rembourse",
        "notification.envoyee",
    ),
}
FORGED = b'{"forged": true}'


def exchange(type_: str) -> str:
    service = type_.partition(".")[0]
    by_client = type_ in {"commande.initiee", "commande.annulation_demandee"}
    return "client.events" if by_client else f"{service}.events"


def body(order: str, type_: str, event_id: str | None = None, cause: str | None = None) -> bytes:
    data: dict[str, Any] = {"commande_id": order}
    if type_ == "paiement.rembourse":
        data["transaction_id"] = "T" if order == "B" else None
    content = {"id": event_id or f"{order}:{type_}", "type": type_, "data": data}
    return json.dumps(content | {"causationid": cause or f"before {order}:{type_}"}).encode()


def outbox_row(order: str, type_: str, *, event_id: str | None = None, cause: str | None = None) -> OutboxRow:
    return OutboxRow(event_id or f"{order}:{type_}", type_, order, body(order, type_, event_id, cause))


def all_events() -> list[tuple[str, str]]:
    return [(order, type_) for order, types in EVENTS.items() for type_ in types]


def _history() -> History:
    events = all_events()
    published = [Published("client.events", t, body(o, t)) for o, t in events if exchange(t) == "client.events"]
    published.append(Published("client.events", "commande.initiee", FORGED, refused={"stock": "invalid"}))
    stream = [StreamEntry(exchange(t), t, body(o, t)) for o, t in events]
    services = ("stock", "paiement", "commande", "notification")
    return History(
        published=tuple(published),
        stream=(*stream, StreamEntry("client.events", "commande.initiee", FORGED), stream[0]),
        dead_letters=(DeadLetter("stock", FORGED, "invalid"),),
        queues=(
            *(QueueState(f"{service}.inbox", 0, 0, 0, 1) for service in services),
            *(QueueState(f"{service}.dlq", 0, 0, 0, 0) for service in services),
        ),
        workers=tuple(WorkerState(service, 20, 80.0, 0, 1.0) for service in services),
        mails=(
            Mail("A", "confirmation"),
            Mail("B", "confirmation"),
            Mail("B", "rectificatif"),
            Mail("C", "annulation"),
        ),
        charges=(Charge("K:A", "A", Decimal("9.99")), Charge("K:B", "B", Decimal("5.00"), taken_back=True)),
        live=_monitor_state(),
        rebuilt=_monitor_state(),
        monitor_connections=(MonitorConnection(0, ("saga.history",)),),
    )


def _monitor_state() -> MonitorState:
    """The state of a monitor that has read every event."""
    return MonitorState(
        {"A": "COMPLETED", "B": "COMPENSATED", "C": "COMPENSATED"},
        frozenset((order, type_, f"{order}:{type_}") for order, type_ in all_events()),
        frozenset({("stock", None, "invalid")}),
    )


def _databases() -> Databases:
    return Databases(
        services={name: _tables(name) for name in ("stock", "paiement", "commande", "notification")},
        rayons={"P": Rayon(initial=10, disponible=8, retenu=0, vendu=2)},
        reservations=(Reservation("A", "P", 2, "vendue"), Reservation("B", "P", 3, "liberee")),
        comptes={"K": Compte(Decimal("100.00"), Decimal("90.01"))},
        debits=(Debit("A", "K", Decimal("9.99"), "pris"), Debit("B", "K", Decimal("5.00"), "rembourse")),
        commandes={
            "A": Commande("creee", Decimal("9.99")),
            "B": Commande("annulee", Decimal("5.00")),
            "C": Commande("annulee", Decimal("7.00")),
        },
        envois=(Envoi("A", "confirmation"), Envoi("B", "rectificatif"), Envoi("C", "annulation")),
    )


def _tables(service: str) -> ServiceTables:
    events = all_events()
    return ServiceTables(
        inbox={f"{o}:{t}": o for o, t in events if service in CHOREOGRAPHY.hearers(t)},
        outbox=tuple(outbox_row(o, t) for o, t in events if exchange(t) == f"{service}.events"),
    )


def with_outbox(source: Databases, service: str, rows: Iterable[OutboxRow]) -> Databases:
    tables = replace(source.services[service], outbox=tuple(rows))
    return replace(source, services={**source.services, service: tables})


def without_receipt(source: Databases, service: str, event_id: str) -> Databases:
    inbox = {key: order for key, order in source.services[service].inbox.items() if key != event_id}
    tables = replace(source.services[service], inbox=inbox)
    return replace(source, services={**source.services, service: tables})


HISTORY, DATABASES, MONITOR_STATE = _history(), _databases(), _monitor_state()
