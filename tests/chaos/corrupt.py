"""Ways to spoil the sane history of `sample_history.py`, one place at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from scripts.nemesis.databases import Commande, Databases, Rayon
from scripts.nemesis.history import History, WorkerExit
from tests.chaos.sample_history import databases, decided, history, with_outbox


@dataclass(frozen=True)
class Case:
    """What must be found, of which invariant, in that history and those books."""

    invariant: str
    what: str
    past: History
    kept: Databases


def corrupted(invariant: str, what: str, *, past: History | None = None, kept: Databases | None = None) -> Case:
    return Case(invariant, what, past or history(), kept or databases())


def stock_of(disponible: int, retenu: int, vendu: int) -> Databases:
    return replace(databases(), rayons={"P": Rayon(10, disponible, retenu, vendu)})


def order(number: str, etat: str) -> Databases:
    commandes = {**databases().commandes, number: Commande(etat, Decimal("9.99"))}
    return replace(databases(), commandes=commandes)


def said_by(service: str, *more: str, without: str = "") -> Databases:
    rows = [row for row in databases().of(service).outbox if row.identity != without]
    made = [decided(*event_id.split(":"), event_id=event_id + "'") for event_id in more]
    return with_outbox(databases(), service, [*rows, *made])


def letter(**changes: Any) -> History:
    found = replace(history().dead_letters[0], **changes)
    return replace(history(), dead_letters=(found,))


def worker(**changes: Any) -> History:
    first, *rest = history().workers
    return replace(history(), workers=(replace(first, **changes), *rest))


def queue(**changes: Any) -> History:
    first, *rest = history().queues
    return replace(history(), queues=(replace(first, **changes), *rest))


def gone(code: int, **more: Any) -> History:
    return replace(history(), worker_exits=(WorkerExit("stock", code, **more),))
