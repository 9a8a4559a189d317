"""The checkers also notice a missing guard with worker processes, a real broker and real databases."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.environment import Environment, sqlite_url
from scripts.nemesis.faults_message import collide
from scripts.nemesis.history import SERVICES
from scripts.nemesis.invariants import WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.orders import make_order

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.nemesis.private_postgres import PrivatePostgres
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
    name = f"mutant-{uuid.uuid4().hex[:8]}"
    management = broker.management(name)
    management.create_vhost()
    url = sqlite_url(tmp_path / "db")
    if database == "postgresql":
        server: PrivatePostgres = request.getfixturevalue("postgres")
        for service in SERVICES:
            server.create(f"{name}-{service}")
        url = server.url(f"{name}-{{service}}")
    program = ("scripts.nemesis.mutants", mutant)
    environment = Environment(tmp_path / "arena", broker.url(management.vhost), management, url, program=program)
    try:
        environment.start()
        for kind in ("plain", "short of stock"):
            environment.order(make_order(kind, f"{mutant}-{kind.partition(' ')[0]}", random.Random(kind)))
        environment.client.drain(QUIET_SECONDS)
        environment.await_quiet(QUIET_SECONDS)
        collide(environment.client, random.Random(1))
        environment.client.drain(QUIET_SECONDS)
        environment.await_quiet(QUIET_SECONDS)
        found = {violation.invariant for violation in check_invariants(*environment.record(), WITHOUT_PROCESSES)}
        assert invariant in found
    finally:
        environment.close()
        management.delete_vhost()
