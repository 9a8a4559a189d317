"""The benchmarks measure what they say and compare it with the promised figures. The figures are not tested."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from scripts.benchmarks import growth, monitor, prover, simulator
from tests.scripts.conftest import ROOT, environ

KEPT: dict[str, Any] = {
    "absorb": {"events_per_second": {"median": 3000}, "events_per_cpu_second": {"median": 10_000}},
    "grow": {"memory_growth": 1.0, "lists_ms": {"/": {"median": 49, "p95": 50}}},
}


def test_a_small_history_is_read_and_every_page_is_requested() -> None:
    command = [sys.executable, "scripts/bench", "monitor", "--only=grow", "--orders=200", "--asked=2", "--json"]
    ran = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=300, check=False
    )
    figures, _ = json.JSONDecoder().raw_decode(ran.stdout)
    grown = figures["grow"]
    assert ran.returncode == (1 if "missed: " in ran.stdout else 0), ran.stderr
    # Of a hundred orders nine are refused, one is created twice, four are unfinished and two are exhausted.
    assert grown["events"] == 2 * (84 * 5 + 9 * 6 + 6 + (1 + 2 + 3 + 4) + 2 * 3)
    assert (grown["in_flight"], grown["stuck"]) == (12, 12)
    assert (grown["flagged"]["INTERVENTION"], grown["flagged"]["CONTRADICTION"]) == (4, 2)
    assert set(grown["lists_ms"]) == set(growth.LISTS)
    assert set(grown["memory_mb_at"]) == {"2", "20", "200"}


def test_figures_within_the_promise_are_not_missed() -> None:
    assert monitor.missed(KEPT) == []


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("absorb", "events_per_second", {"median": 2999}),
        ("absorb", "events_per_cpu_second", {"median": 9999}),
        ("grow", "memory_growth", 1.26),
        ("grow", "lists_ms", {"/": {"median": 1, "p95": 1}, "/?flag=STUCK": {"median": 1, "p95": 50.1}}),
    ],
)
def test_each_missed_promise_is_reported(part: str, name: str, value: object) -> None:
    figures = copy.deepcopy(KEPT)
    figures[part][name] = value
    assert len(monitor.missed(figures)) == 1


def test_the_simulator_is_measured_several_times_on_the_same_seeds() -> None:
    command = [sys.executable, "scripts/bench", "simulator", "--runs=1", "--times=2", "--json"]
    ran = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=300, check=False
    )
    figures = json.loads(ran.stdout)
    assert ran.returncode == (1 if "missed: " in ran.stderr else 0), ran.stderr
    assert (figures["sagas"] > 140, figures["faults"] > 0, len(figures["each"])) == (True, True, 2)
    spread = figures["sagas_per_second"]
    assert 0 < spread["least"] <= spread["median"] <= spread["most"]


@pytest.mark.parametrize(("median", "missed"), [(200, 0), (199, 1)])
def test_a_missed_promise_of_the_simulator_is_reported(median: int, missed: int) -> None:
    assert len(simulator.missed({"sagas_per_second": {"median": median}})) == missed


def test_the_two_explorations_are_measured_by_turns_and_compared() -> None:
    command = [
        sys.executable,
        "scripts/bench",
        "prover",
        "--services",
        "2",
        "9",
        "--times=2",
        "--most=10000",
        "--json",
    ]
    ran = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=300, check=False
    )
    checks = {(row["shape"], row["services"]): row for row in json.loads(ran.stdout)["checks"]}
    assert ran.returncode == (1 if "missed: " in ran.stderr else 0), ran.stderr
    small, large = checks["parallel", 2], checks["parallel", 9]
    assert 0 < small["ratio"]["least"] <= small["ratio"]["median"] <= small["ratio"]["most"]
    assert (small["full"]["states"] > 0, large["full"]["states"], large["reduced"]["states"] > 0) == (
        True,
        None,
        True,
    )


@pytest.mark.parametrize(("states", "seconds", "missed"), [(1000, 9.9, 0), (1000, 10.1, 1), (None, 1.0, 1)])
def test_a_missed_promise_of_the_prover_is_reported(states: int | None, seconds: float, missed: int) -> None:
    reduced = {"states": states, "seconds": {"most": seconds}}
    assert len(prover.missed([{"shape": "chain", "services": 10, "reduced": reduced}])) == missed
