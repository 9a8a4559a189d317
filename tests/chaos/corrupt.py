"""Functions that corrupt the valid history of `sample_history.py` in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from scripts.nemesis.databases import Commande, Databases, Rayon
from scripts.nemesis.history import History, WorkerExit
from tests.chaos.sample_history import DATABASES, HISTORY, outbox_row, with_outbox


@dataclass(frozen=True)
class Case:
    """The invariant that the history and the databases violate, and a part of the expected message."""

    invariant: str
    message: str
    history: History
    databases: Databases


def corrupted(
    invariant: str, message: str, *, history: History | None = None, databases: Databases | None = None
) -> Case:
    return Case(invariant, message, history or HISTORY, databases or DATABASES)


def stock_of(disponible: int, retenu: int, vendu: int) -> Databases:
    return replace(DATABASES, rayons={"P": Rayon(10, disponible, retenu, vendu)})


def order(number: str, etat: str) -> Databases:
    commandes = {**DATABASES.commandes, number: Commande(etat, Decimal("9.99"))}
    return replace(DATABASES, commandes=commandes)


def with_published(service: str, *more: str, without: str = "") -> Databases:
    rows = [row for row in DATABASES.of(service).outbox if row.identity != without]
    added = [outbox_row(*event_id.split(":"), event_id=event_id + "'") for event_id in more]
    return with_outbox(DATABASES, service, [*rows, *added])


def with_dead_letter(**changes: Any) -> History:
    found = replace(HISTORY.dead_letters[0], **changes)
    return replace(HISTORY, dead_letters=(found,))


def with_worker(**changes: Any) -> History:
    first, *rest = HISTORY.workers
    return replace(HISTORY, workers=(replace(first, **changes), *rest))


def with_queue(**changes: Any) -> History:
    first, *rest = HISTORY.queues
    return replace(HISTORY, queues=(replace(first, **changes), *rest))


def exited(code: int, **more: Any) -> History:
    return replace(HISTORY, worker_exits=(WorkerExit("stock", code, **more),))
