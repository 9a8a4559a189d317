"""How many orders were lost or carried out twice: counted in the services' databases and in the history."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.choreography import CHOREOGRAPHY
from scripts.demonstration.checks import Seen
from scripts.demonstration.scenarios import Kind

# A client may rightly get several messages about one order: they are counted by template.
_NOTIFIED = "notification.envoyee"

_ENDED = "SELECT commande_id FROM commandes WHERE etat IN ('creee', 'annulee')"


@dataclass(frozen=True)
class Count:
    """Ids of the orders that were asked for, that have no end, and that had an effect more than once."""

    orders: tuple[str, ...]
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    events: int


def sentence(counted: Count) -> str:
    """The count, for a person."""
    return (
        f"{len(counted.orders)} orders, {len(counted.lost)} lost, {len(counted.twice)} carried out twice"
        f" (counted in the {len(CHOREOGRAPHY.services)} databases and in {counted.events} events of the history)."
    )


def count(folder: Path, kinds: Sequence[Kind], seen: Seen) -> Count:
    """Count in the databases of `folder` and in what the monitor has read."""
    orders = tuple(kind.commande_id for kind in kinds)
    ended = {id_ for (id_,) in _rows(folder, "commande", _ENDED)}
    lost = tuple(id_ for id_ in orders if id_ not in ended or not _at_its_end(seen.orders[id_]))
    effects = Counter(_said(folder))
    twice = {id_ for (id_, *_), times in effects.items() if times > 1}
    twice |= {id_ for id_ in orders if _repeated(seen.orders[id_])}
    events = sum(len(seen.orders[id_]["events"]) for id_ in orders)
    return Count(orders, lost, tuple(sorted(twice)), events)


def _at_its_end(order: Mapping[str, Any]) -> bool:
    return order["state"] in {"COMPLETED", "COMPENSATED"} and not order["remaining"]


def _repeated(order: Mapping[str, Any]) -> bool:
    """Whether the history has an effect of this order more than once: two events, not two copies of one."""
    said = Counter(
        (event["type"], event["note"] if event["type"] == _NOTIFIED else "") for event in order["events"]
    )
    return any(times > 1 for times in said.values())


def _said(folder: Path) -> list[tuple[str, str, str]]:
    """What each database says was done for an order: an event of each type, a message of each template."""
    done = [
        (id_, service, type_)
        for service in CHOREOGRAPHY.services
        for id_, type_ in _rows(folder, service, "SELECT commande_id, type FROM outbox")
        if type_ != _NOTIFIED
    ]
    sent = _rows(folder, "notification", "SELECT commande_id, modele FROM envois")
    return [*done, *((id_, "notification", template) for id_, template in sent)]


def _rows(folder: Path, service: str, question: str) -> list[tuple[Any, ...]]:
    place = f"file:{folder / service}.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(place, uri=True)) as connection:
        return connection.execute(question).fetchall()
