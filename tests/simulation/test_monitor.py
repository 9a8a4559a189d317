"""I9: the monitor judges a history as the databases know it, in whatever order and however often told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from saga_monitor.progress import Progress, SetAside, State, judge
from saga_monitor.reading.entries import DeadEntry, SaidEntry, read_entry
from services.runtime import HistoryEntry
from services.simulation import plan, walk
from services.simulation.clock import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.simulation import Books, Facts

STATES = {"creee": State.COMPLETED, "annulee": State.COMPENSATED}


def entries(facts: Facts) -> list[HistoryEntry]:
    return [
        HistoryEntry(offset, message.exchange, message.routing_key, message.body, message.headers, EPOCH)
        for offset, message in enumerate(facts.history)
    ]


def judged(history: Sequence[HistoryEntry]) -> dict[str, Progress]:
    """Where each order stands."""
    events: dict[str, list[SaidEntry]] = {}
    dead: dict[str, set[SetAside]] = {}
    for record in (read_entry(entry, EPOCH) for entry in history):
        if isinstance(record, SaidEntry):
            events.setdefault(record.commande_id, []).append(record)
        elif isinstance(record, DeadEntry) and record.commande_id:
            letter = SetAside(record.service, record.event_id, record.reason)
            dead.setdefault(record.commande_id, set()).add(letter)
    return {
        order: judge((record.heard for record in said), sorted(dead.get(order, ()), key=repr))
        for order, said in events.items()
    }


def disagreements(facts: Facts) -> list[str]:
    """A judge for `walk`: what the monitor says against what the databases say."""
    told = judged(entries(facts))
    return [
        f"I9 monitor: {order} is {row['etat']}, and the monitor says {told[order].state}"
        for order, row in facts.orders.items()
        if order not in facts.in_doubt and told[order].state is not STATES[row["etat"]]
    ]


def test_the_monitor_agrees_with_the_databases(books: Books) -> None:
    for seed in range(60):
        assert walk(plan(seed, 8), books, disagreements).found == (), f"seed {seed}"


@pytest.mark.parametrize("seed", [1, 5, 23])
def test_order_and_repetition_make_no_difference(seed: int, books: Books) -> None:
    history = entries(walk(plan(seed, 20), books).facts)
    straight, dice = judged(history), random.Random(seed)
    for _ in range(5):
        told = history + dice.choices(history, k=len(history) // 2)
        dice.shuffle(told)
        assert judged(told) == straight
