"""The orchestrated order saga under every fault: the same invariants hold, and the monitor agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.saga_set import SagaSet
from choregraphie.simulator import Databases, Search, run_plan
from choregraphie.simulator.clock import EPOCH
from saga_monitor.analysis import saga_state
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.records.parser import EntryParser, EventEntry
from services.orchestration import WIRING
from services.scenario import SCOPES
from services.scenario.orchestrated import SCENARIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from choregraphie.simulator import FinalState, Scope

RUNS = 8
ORDERS = 8
STATES = {"creee": State.COMPLETED, "annulee": State.COMPENSATED}


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    opened = Databases(SCENARIO)
    yield opened
    opened.close()


def disagreements(state: FinalState) -> list[str]:
    """The orders of which the monitor shows something else than the databases hold."""
    parser, events = EntryParser(SagaSet((WIRING,))), dict[str, list[EventEntry]]()
    for offset, one in enumerate(state.history):
        entry = HistoryEntry(offset, one.exchange, one.routing_key, one.body, one.headers, EPOCH)
        if isinstance(record := parser.parse(entry, EPOCH), EventEntry):
            events.setdefault(record.key, []).append(record)
    found = []
    for row in state.rows("commande", "commandes"):
        key = row["commande_id"]
        shown = saga_state.evaluate(WIRING, [record.heard for record in events[key]])
        wrong = {Flag.CONTRADICTION, Flag.NOT_ALLOWED} & {*shown.flags}
        if key not in state.in_doubt and (shown.state is not STATES[row["etat"]] or shown.remaining or wrong):
            found.append(
                f"{key}: {row['etat']}, and the monitor shows {shown.state}, {shown.remaining}, {shown.flags}"
            )
    return found


def test_every_invariant_holds_and_the_monitor_agrees(databases: Databases) -> None:
    for seed in range(RUNS):
        outcome = run_plan(SCENARIO.workload.plan(seed, ORDERS), databases, disagreements)
        assert outcome.found == (), f"seed {seed}"


def test_a_cancellation_that_is_a_dead_letter_waits_for_a_person(databases: Databases) -> None:
    """A run that was once not over: its order needs a person, and no deadline decides it."""
    assert run_plan(SCENARIO.workload.plan(172, ORDERS), databases, disagreements).found == ()


@pytest.mark.parametrize(("scope", "faults"), [(SCOPES[0], 1), (SCOPES[1], 0)], ids=str)
def test_every_invariant_holds_at_every_end(scope: Scope, faults: int, databases: Databases) -> None:
    found = Search(scope, faults, databases).run()
    assert not found.violations
    assert found.ends > 1
