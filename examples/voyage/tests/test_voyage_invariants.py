"""Each invariant of the voyage detects its violation: a sound end of a run, with one thing changed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from choregraphie.simulator import ClientAction, Databases, FinalState, Plan, run_plan
from voyage.scenario import PLAIN, SCENARIO

CONFIRMED, CANCELLED = "VOY-1", "VOY-2"
CANCELLATION = ClientAction(1.0, "cancel", CANCELLED, f"{CANCELLED}-annulation")


@pytest.fixture(scope="module")
def sound() -> FinalState:
    """What a run without faults leaves: one voyage confirmed, one confirmed and then cancelled."""
    requests = [ClientAction(0, "start", key, f"{key}-demande", PLAIN) for key in (CONFIRMED, CANCELLED)]
    databases = Databases(SCENARIO)
    try:
        outcome = run_plan(Plan(1, (*requests, CANCELLATION), faults=()), databases)
    finally:
        databases.close()
    assert outcome.found == ()
    state: FinalState = outcome.final_state
    return state


@pytest.mark.parametrize(
    ("invariant", "service", "table", "where", "changes"),
    [
        ("V1", "vol", "vols", "AF-LISBONNE", {"prises": 7}),
        ("V1", "hotel", "hotels", "RIVAGE", {"prises": 0}),
        ("V1", "voiture", "locations", CONFIRMED, {"etat": "annule"}),
        ("V2", "hotel", "sejours", CANCELLED, {"etat": "reserve"}),
        ("V2", "paiement", "paiements", CONFIRMED, {"etat": "rembourse"}),
        ("V2", "agence", "voyages", CONFIRMED, {"etat": "en_cours"}),
        ("V3", "paiement", "paiements", CANCELLED, {"rembourse": 0}),
        ("V3", "vol", "billets", CANCELLED, {"retenu": 0}),
        ("V3", "paiement", "cartes", "CLIENT-1", {"debite": 0}),
    ],
)
def test_a_violation_is_detected(
    sound: FinalState, invariant: str, service: str, table: str, where: str, changes: dict[str, Any]
) -> None:
    tables = copy.deepcopy(dict(sound.tables))
    rows = [row for row in tables[service][table] if where in row.values()]
    assert rows
    for row in rows:
        row.update(changes)
    found = SCENARIO.violations(replace(sound, tables=tables))
    assert any(violation.startswith(f"{invariant} ") for violation in found), found


def test_a_payment_that_forgets_the_fee_is_detected_by_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voyage.paiement.rules.a_rembourser", lambda montant, frais, *, confirme: montant)
    databases = Databases(SCENARIO)
    try:
        late = replace(CANCELLATION, key=CONFIRMED)
        request = ClientAction(0, "start", CONFIRMED, f"{CONFIRMED}-demande", PLAIN)
        found = run_plan(Plan(1, (request, late), faults=()), databases).found
    finally:
        databases.close()
    assert [violation.partition(":")[0] for violation in found] == ["V3 money"]
