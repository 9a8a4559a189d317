"""I9: the monitor agrees with the databases, whatever the order and repetition of the history."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import HistoryEntry
from choregraphie.simulator import run_plan
from choregraphie.simulator.clock import EPOCH
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import Progress, State
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.records.parser import EventEntry
from saga_monitor.stream.follower import split_runs
from saga_monitor.stream.resuming import mark_of
from services.scenario import plan
from tests.support.order_saga import PARSER, SAGAS, evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from choregraphie.simulator import Databases
    from saga_monitor.projection.models import SagaSummary
    from services.scenario import OrderFinalState as FinalState

STATES = {"creee": State.COMPLETED, "annulee": State.COMPENSATED}


def entries(state: FinalState) -> list[HistoryEntry]:
    return [
        HistoryEntry(offset, message.exchange, message.routing_key, message.body, message.headers, EPOCH)
        for offset, message in enumerate(state.history)
    ]


def states_of(history: Sequence[HistoryEntry]) -> dict[str, Progress]:
    """The state of each order according to the monitor."""
    events: dict[str, list[EventEntry]] = {}
    dead: dict[str, set[DeadLetter]] = {}
    for record in (PARSER.parse(entry, EPOCH) for entry in history):
        if isinstance(record, EventEntry):
            events.setdefault(record.key, []).append(record)
        elif isinstance(record, DeadLetter) and record.key:
            letter = DeadLetter(record.service, record.event_id, record.reason)
            dead.setdefault(record.key, set()).add(letter)
    return {
        order: evaluate((record.heard for record in said), sorted(dead.get(order, ()), key=repr))
        for order, said in events.items()
    }


def disagreements(state: FinalState) -> list[str]:
    """An extra check for `run_plan`: orders about which monitor and databases disagree."""
    history_again = states_of(entries(state))
    return [
        f"I9 monitor: {order} is {row['etat']}, and the monitor says {history_again[order].state}"
        for order, row in state.orders.items()
        if order not in state.in_doubt and history_again[order].state is not STATES[row["etat"]]
    ]


def test_the_monitor_agrees_with_the_databases(databases: Databases) -> None:
    for seed in range(60):
        assert run_plan(plan(seed, 8), databases, disagreements).found == (), f"seed {seed}"


def projected(history: Sequence[HistoryEntry], path: Path) -> dict[str, tuple[object, ...]]:
    """The state of each order in a projection on disk that has read all of `history`."""
    store, queries = Store(path, SAGAS), Queries(path, 60.0, SAGAS)
    try:
        for run in split_runs((entry, PARSER.parse(entry, EPOCH)) for entry in history):
            store.apply([record for _, record in run], mark_of(run[0][0]), mark_of(run[-1][0]))
        return {order.key: _comparable(order, queries) for order in queries.instances(None, 1000, EPOCH)}
    finally:
        queries.close()
        store.close()


def _comparable(order: SagaSummary, queries: Queries) -> tuple[object, ...]:
    """All that does not depend on the position and repetition of entries in the stream."""
    events = {(e.id, e.type, e.source, e.causationid, e.note) for e in queries.events(order.instance)}
    dead = {(d.service, d.event_id, d.reason) for d in queries.dead_letters(order.instance)}
    return order.state, set(order.flags), order.at_rest, order.steps, set(order.remaining), events, dead


@pytest.mark.parametrize("seed", [1, 5, 23])
def test_the_projection_does_not_depend_on_order_and_repetition(
    seed: int, databases: Databases, tmp_path: Path
) -> None:
    state = run_plan(plan(seed, 12), databases).final_state
    history = entries(state)
    straight, rng = projected(history, tmp_path / "straight"), random.Random(seed)
    for turn in range(3):
        history_again = history + rng.choices(history, k=len(history) // 2)
        rng.shuffle(history_again)
        assert projected(history_again, tmp_path / f"shuffled-{turn}") == straight
    ended = {order: STATES[row["etat"]] for order, row in state.orders.items() if order not in state.in_doubt}
    assert {order: straight[order][0] for order in ended} == ended


@pytest.mark.parametrize("seed", [1, 5, 23])
def test_order_and_repetition_make_no_difference(seed: int, databases: Databases) -> None:
    history = entries(run_plan(plan(seed, 20), databases).final_state)
    straight, rng = states_of(history), random.Random(seed)
    for _ in range(5):
        history_again = history + rng.choices(history, k=len(history) // 2)
        rng.shuffle(history_again)
        assert states_of(history_again) == straight
