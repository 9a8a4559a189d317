"""Three chaos runs of less than a minute: `./scripts/chaos` makes longer ones.

Together they inject most faults that take effect within seconds. Faults of half a minute and more (freezes,
stalls, the memory alarm, flapping) are left to long runs; half-open connections and a full disk have own tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scripts.nemesis.nemesis import FAULTS, schedule
from scripts.nemesis.workers import ROOT

# Long enough for the slowest recovery on a busy machine.
PATIENCE_SECONDS = 400
SHORT = {"kill", "kill_all", "leave", "monitor_kill", "cut", "duplicates"}


def chaos(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.nemesis", "--json", *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"no verdict after {PATIENCE_SECONDS} s: {(late.stderr or b'')[-3000:]!r}")
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.timeout(PATIENCE_SECONDS + 20)
@pytest.mark.parametrize(
    ("kind", "faults", "minutes", "seed"),
    [
        ("--database=sqlite", SHORT | {"broker_kill", "rubbish", "poison", "redrive"}, "0.6", "7"),
        ("--database=postgresql", SHORT | {"postgres_kill", "broker_wipe", "db_locked", "delay"}, "0.7", "9"),
        ("--orchestration", {"kill", "kill_all", "cut", "duplicates", "rubbish", "redrive"}, "0.3", "56"),
    ],
)
def test_nothing_is_lost_or_done_twice_under_faults(kind: str, faults: set[str], minutes: str, seed: str) -> None:
    report = chaos(kind, "--minutes", minutes, "--seed", seed, "--faults", ",".join(sorted(faults)))
    assert report["violations"] == []
    assert set(report["faults"]) == faults, "every fault was injected"
    assert report["figures"]["lost"] == report["figures"]["unexpected"] == 0
    assert report["figures"]["received"] == report["figures"]["attempted"] > 100


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert schedule(10, 1, FAULTS) == schedule(10, 1, reversed(list(FAULTS)))
    assert schedule(10, 1, FAULTS) != schedule(10, 2, FAULTS)


def test_ten_minutes_are_enough_for_every_fault() -> None:
    assert {scheduled.fault for scheduled in schedule(10, 3, FAULTS)} == set(FAULTS)
