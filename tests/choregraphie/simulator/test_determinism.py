"""One seed is one run: in one process, in another, and when it is replayed fault by fault."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from choregraphie.pipeline.decoder import Decoder
from choregraphie.simulator import Databases, Outcome, run_plan
from choregraphie.simulator.shared_reading import SharedReading
from services.scenario import plan

# The digest of each seed's run, equal on every Python and machine. After an intended change of what a run does,
# copy the new digest here; the failing test shows it.
SEEDS = {
    3: "a8c93da443a1dba3db89e679399b85e3",
    11: "948cd584f7ab16633e8d4bdffc3ace3c",
    42: "1424c85f68f27bf6cfc64960988152a0",
    313: "89f205bf91330ce4756aff18d824a6d1",
}
ORDERS = 10
ROOT = Path(__file__).parents[3]
_PROGRAM = f"""
from choregraphie.simulator import Databases, run_plan
from services.scenario import plan
from services.scenario import SCENARIO
from tests.choregraphie.simulator.test_determinism import run_digest
databases = Databases(SCENARIO)
for seed in {[*SEEDS]}:
    print(run_digest(run_plan(plan(seed, {ORDERS}), databases)))
"""


def run_digest(outcome: Outcome) -> str:
    """Digest of what a run did and left behind: trace, databases, history, dead letters, externals, faults.

    Only values count: renaming a class or a field does not change the digest.
    """
    state = outcome.final_state
    left = (state.tables, state.history, state.dead, state.actions, state.charged, state.sent, state.remains)
    content = (outcome.trace.entries, left, outcome.occurred, sorted(outcome.faults.items()), outcome.found)
    return hashlib.blake2b(repr(plain(content)).encode(), digest_size=16).hexdigest()


def plain(value: Any) -> Any:
    """`value` made of lists, strings, bytes and numbers, without the names of classes and fields."""
    if is_dataclass(value):
        return [plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return [[plain(key), plain(item)] for key, item in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Enum) else value


def digests_of_a_process(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.split()


def test_a_seed_is_the_same_run_in_every_process(databases: Databases) -> None:
    here = [run_digest(run_plan(plan(seed, ORDERS), databases)) for seed in SEEDS]
    assert digests_of_a_process("1") == digests_of_a_process("2") == here
    assert len(set(here)) == len(SEEDS)


def test_a_seed_is_the_same_run_on_every_machine(databases: Databases) -> None:
    assert {seed: run_digest(run_plan(plan(seed, ORDERS), databases)) for seed in SEEDS} == SEEDS


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_is_replayed_from_the_faults_that_occurred(seed: int, databases: Databases) -> None:
    """Shrinking relies on this: the faults of a seed, given by name, repeat its run."""
    first = run_plan(plan(seed, ORDERS), databases)
    again = run_plan(replace(first.plan, faults=first.occurred), databases)
    assert run_digest(again) == run_digest(first)


def test_leaving_out_orders_does_not_change_the_draws_for_the_rest() -> None:
    few, many = plan(7, 3), plan(7, 9)
    assert many.actions[: len(few.actions)] == few.actions


def test_a_run_is_the_same_when_each_delivery_is_read_by_itself(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a run, services share what was read of equal bytes, and the garbage that clients send too."""
    monkeypatch.setattr(SharedReading, "_decode", Decoder._decode)
    monkeypatch.setattr(SharedReading, "_as_routed", Decoder._as_routed)
    for seed, digest in SEEDS.items():
        assert run_digest(run_plan(plan(seed, ORDERS), databases)) == digest
