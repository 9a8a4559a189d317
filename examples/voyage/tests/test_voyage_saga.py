"""The whole saga: proved, simulated under every fault, and searched in small scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.cli.main import main
from choregraphie.simulator import Databases, Scope, Search, run_plan
from voyage.application import APP
from voyage.scenario import SCENARIO, WORKLOAD

if TYPE_CHECKING:
    from choregraphie.testing.plugin import Simulate


def test_the_saga_is_proved_and_its_services_do_what_it_declares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(APP, ["choreography", "check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("seed", range(1, 200, 50))
def test_no_voyage_ends_half_undone(simulate: Simulate, seed: int) -> None:
    """Two hundred runs in all, with several voyages each, under every fault."""
    assert simulate(seed, runs=50, instances=4).runs == 50


def test_the_runs_reach_every_end() -> None:
    databases, said = Databases(SCENARIO), set()
    try:
        for seed in range(1, 6):
            state = run_plan(WORKLOAD.plan(seed, 20), databases).final_state
            said |= {type_ for types in state.said.values() for type_ in types}
    finally:
        databases.close()
    assert said == SCENARIO.choreography.event_types.keys() - SCENARIO.choreography.client_types


@pytest.mark.parametrize(("scope", "faults"), zip(SCENARIO.scopes, (1, 1, 0), strict=True), ids=str)
def test_every_order_of_the_steps_of_a_small_scope_ends_well(scope: Scope, faults: int) -> None:
    databases = Databases(SCENARIO)
    try:
        found = Search(scope, faults, databases).run()
    finally:
        databases.close()
    assert found.violations == ()
    assert found.ends > 0
