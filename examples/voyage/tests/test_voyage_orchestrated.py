"""The voyage orchestrated, as derived from its choreography: the same services, and the agency leads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from choregraphie.prover import prove, steps_text
from choregraphie.simulator import ClientAction, Databases, Plan, Search, run_plan
from voyage.orchestrated import DERIVED, ORCHESTRATED, SCENARIO, WIRING
from voyage.scenario import PLAIN

BELVEDERE = ClientAction(0, "start", "VOY-1", "VOY-1-demande", {**PLAIN, "hotel_id": "BELVEDERE"})


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    opened = Databases(SCENARIO)
    yield opened
    opened.close()


def test_the_bookings_run_in_parallel_and_the_payment_carries_all_of_them() -> None:
    groups = [[step.command.TYPE for step in group] for group in DERIVED.orchestration.groups]
    assert groups == [
        ["vol.reserver", "hotel.reserver", "voiture.reserver"],
        ["paiement.debiter"],
        ["voyage.confirme"],
    ]
    (paiement,) = DERIVED.orchestration.groups[1]
    assert [*paiement.command.model_fields] == ["voyage_id", "vol_reserve", "hotel_reserve", "voiture_reservee"]


def test_the_readme_shows_what_is_derived() -> None:
    assert steps_text(DERIVED.orchestration) in (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_every_rule_holds() -> None:
    assert prove(WIRING, ORCHESTRATED.by_name).holds


def test_every_invariant_holds_under_every_fault(databases: Databases) -> None:
    for seed in range(5):
        outcome = run_plan(SCENARIO.workload.plan(seed, 5), databases)
        assert outcome.found == (), f"seed {seed}"


def test_every_end_of_a_voyage_without_a_room_is_sound(databases: Databases) -> None:
    found = Search(SCENARIO.scopes[1], 0, databases).run()
    assert not found.violations
    assert found.ends > 1


def test_a_voyage_without_a_room_gives_back_its_flight_and_its_car(databases: Databases) -> None:
    said = run_plan(Plan(1, (BELVEDERE,), faults=()), databases).final_state.said["VOY-1"]
    assert {"vol.annuler", "hotel.annuler", "voiture.annuler", "voyage.annule"} <= said.keys()
    assert "paiement.debiter" not in said
    assert "paiement.rembourser" not in said, "only what was asked is undone"
