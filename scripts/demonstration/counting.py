"""Counts the orders that were lost or carried out twice, in the services' databases and in the history."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.demonstration.checks import FinalState
from scripts.demonstration.saga import saga
from scripts.demonstration.scenarios import Scenario

# A client may get several mails about one order, so mails are counted per template.
_NOTIFIED = "notification.envoyee"

_ENDED = "SELECT commande_id FROM commandes WHERE etat IN ('creee', 'annulee')"


@dataclass(frozen=True)
class Count:
    """The ids of the orders that were placed, that did not end, and that had an effect more than once."""

    orders: tuple[str, ...]
    lost: tuple[str, ...]
    repeated: tuple[str, ...]
    events: int


def sentence(counted: Count) -> str:
    """The count as a sentence."""
    return (
        f"{len(counted.orders)} orders, {len(counted.lost)} lost, {len(counted.repeated)} carried out twice"
        f" (counted in the {len(saga().services)} databases and in {counted.events} events of the history)."
    )


def count(folder: Path, scenarios: Sequence[Scenario], final_state: FinalState) -> Count:
    """Count in the databases of `folder` and in the events that the monitor has read."""
    orders = tuple(scenario.commande_id for scenario in scenarios)
    ended = {id_ for (id_,) in _rows(folder, "commande", _ENDED)}
    lost = tuple(id_ for id_ in orders if id_ not in ended or not _at_its_end(final_state.orders[id_]))
    effects = Counter(_effects(folder))
    repeated = {id_ for (id_, *_), times in effects.items() if times > 1}
    repeated |= {id_ for id_ in orders if _repeated(final_state.orders[id_])}
    events = sum(len(final_state.orders[id_]["events"]) for id_ in orders)
    return Count(orders, lost, tuple(sorted(repeated)), events)


def _at_its_end(order: Mapping[str, Any]) -> bool:
    return order["state"] in {"COMPLETED", "COMPENSATED"} and not order["remaining"]


def _repeated(order: Mapping[str, Any]) -> bool:
    """Whether the history has two events, not two copies of one, for one effect of this order."""
    events = Counter(
        (event["type"], event["note"] if event["type"] == _NOTIFIED else "") for event in order["events"]
    )
    return any(times > 1 for times in events.values())


def _effects(folder: Path) -> list[tuple[str, str, str]]:
    """The effects in the databases: per order, an event of each type and a mail of each template."""
    effects = [
        (id_, service, type_)
        for service in saga().services
        for id_, type_ in _rows(folder, service, "SELECT key, type FROM outbox")
        if type_ != _NOTIFIED
    ]
    sent = _rows(folder, "notification", "SELECT commande_id, modele FROM envois")
    return [*effects, *((id_, "notification", template) for id_, template in sent)]


def _rows(folder: Path, service: str, question: str) -> list[tuple[Any, ...]]:
    place = f"file:{folder / service}.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(place, uri=True)) as connection:
        return connection.execute(question).fetchall()
