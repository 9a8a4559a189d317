"""The checkers also notice a missing guard with worker processes, a real broker and real databases."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.faults_message import collide
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.orders import make_order
from tests.chaos.live import live_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.brokers import Broker

# An undoing that is never answered would otherwise be waited for until the usual timeout.
QUIET_SECONDS = 10


@pytest.mark.parametrize(
    ("mutant", "database", "invariant"),
    [("inbox_off", "postgresql", "I8"), ("silent_undoing", "sqlite", "I3")],
)
def test_a_removed_guard_is_noticed(
    mutant: str, database: str, invariant: str, broker: Broker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = request.getfixturevalue("postgres") if database == "postgresql" else None
    program = ("scripts.nemesis.mutants", mutant)
    with live_environment(broker, tmp_path, postgres, program=program) as environment:
        for kind in ("plain", "short of stock"):
            environment.order(make_order(kind, f"{mutant}-{kind.partition(' ')[0]}", random.Random(kind)))
        environment.client.drain(QUIET_SECONDS)
        environment.await_quiet(QUIET_SECONDS)
        collide(environment.client, random.Random(1), environment.saga)
        environment.client.drain(QUIET_SECONDS)
        environment.await_quiet(QUIET_SECONDS)
        found = {violation.invariant for violation in check_invariants(*environment.record(), WITHOUT_PROCESSES)}
        assert invariant in found
