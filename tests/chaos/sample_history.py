"""A sane history, made by hand, to be spoilt in one place at a time by the checkers' own tests.

One order created, one created and then cancelled, one short of stock, and one forged event set aside.
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
    Decided,
    Envoi,
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

SAYS = {
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
    outbox_publisher = type_.partition(".")[0]
    by_client = type_ in {"commande.initiee", "commande.annulation_demandee"}
    return "client.events" if by_client else f"{outbox_publisher}.events"


def body(order: str, type_: str, event_id: str | None = None, cause: str | None = None) -> bytes:
    data: dict[str, Any] = {"commande_id": order}
    if type_ == "paiement.rembourse":
        data["transaction_id"] = "T" if order == "B" else None
    content = {"id": event_id or f"{order}:{type_}", "type": type_, "data": data}
    return json.dumps(content | {"causationid": cause or f"before {order}:{type_}"}).encode()


def decided(order: str, type_: str, *, event_id: str | None = None, cause: str | None = None) -> Decided:
    return Decided(event_id or f"{order}:{type_}", type_, order, body(order, type_, event_id, cause))


def everything_said() -> list[tuple[str, str]]:
    return [(order, type_) for order, types in SAYS.items() for type_ in types]


def history() -> History:
    said = everything_said()
    published = [Published("client.events", t, body(o, t)) for o, t in said if exchange(t) == "client.events"]
    published.append(Published("client.events", "commande.initiee", FORGED, refused={"stock": "invalid"}))
    stream = [StreamEntry(exchange(t), t, body(o, t)) for o, t in said]
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
        live=told(),
        rebuilt=told(),
        monitor_connections=(MonitorConnection(0, ("saga.history",)),),
    )


def told() -> MonitorState:
    """What a monitor says that has heard it all."""
    return MonitorState(
        {"A": "COMPLETED", "B": "COMPENSATED", "C": "COMPENSATED"},
        frozenset((order, type_, f"{order}:{type_}") for order, type_ in everything_said()),
        frozenset({("stock", None, "invalid")}),
    )


def databases() -> Databases:
    return Databases(
        services={name: _kept(name) for name in ("stock", "paiement", "commande", "notification")},
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


def _kept(service: str) -> ServiceTables:
    said = everything_said()
    return ServiceTables(
        inbox={f"{o}:{t}": o for o, t in said if service in CHOREOGRAPHY.hearers(t)},
        outbox=tuple(decided(o, t) for o, t in said if exchange(t) == f"{service}.events"),
    )


def with_outbox(source: Databases, service: str, rows: Iterable[Decided]) -> Databases:
    kept = replace(source.services[service], outbox=tuple(rows))
    return replace(source, services={**source.services, service: kept})


def without_receipt(source: Databases, service: str, event_id: str) -> Databases:
    inbox = {key: order for key, order in source.services[service].inbox.items() if key != event_id}
    kept = replace(source.services[service], inbox=inbox)
    return replace(source, services={**source.services, service: kept})
