"""The checkers of an orchestrated saga: each finds what is planted in a history without faults."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.databases import Databases, Instance, OutboxRow
from scripts.nemesis.invariants import CHECKERS, WITHOUT_PROCESSES, check_invariants
from scripts.nemesis.orders import make_order
from services.orchestration import ORCHESTRATED
from tests.chaos.in_process import InProcessSaga
from tests.chaos.sample_history import with_outbox, without_receipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.nemesis.history import History

    Recorded = tuple[History, Databases]

CREATED, REFUSED = "A", "B"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One order that is created, and one that is refused after two steps."""
    saga = InProcessSaga(tmp_path_factory.mktemp("saga"), application=ORCHESTRATED)
    try:
        for key, kind in ((CREATED, "plain"), (REFUSED, "blocked")):
            (initiee,) = make_order(kind, key, random.Random(key))
            saga.publish(initiee.key, initiee.body)
        saga.settle()
        return saga.record()
    finally:
        saga.close()


def in_state(key: str, instance: Instance | None) -> Callable[[Databases], Databases]:
    def change(databases: Databases) -> Databases:
        others = {known: one for known, one in databases.instances.items() if known != key}
        return replace(databases, instances=others | ({key: instance} if instance else {}))

    return change


def place(databases: Databases, key: str, type_: str) -> int:
    rows = databases.of("orchestrateur").outbox
    return next(number for number, row in enumerate(rows) if (row.commande_id, row.type) == (key, type_))


def swapped(key: str, one: str, other: str) -> Callable[[Databases], Databases]:
    """Two commands in the other order."""

    def change(databases: Databases) -> Databases:
        rows = [*databases.of("orchestrateur").outbox]
        first, second = place(databases, key, one), place(databases, key, other)
        rows[first], rows[second] = rows[second], rows[first]
        return with_outbox(databases, "orchestrateur", rows)

    return change


def rewritten(row: OutboxRow, **fields: str) -> OutboxRow:
    body = json.dumps(json.loads(row.body) | fields).encode()
    return replace(row, body=body, identity=f"{fields['id']} of x" if "id" in fields else row.identity)


def too_early(databases: Databases) -> Databases:
    """The second step, asked with the first."""
    rows = [*databases.of("orchestrateur").outbox]
    first, second = (place(databases, CREATED, type_) for type_ in ("stock.reserver", "paiement.debiter"))
    rows[second] = rewritten(rows[second], causationid=str(rows[first].fields.cause))
    return with_outbox(databases, "orchestrateur", rows)


def said_twice(databases: Databases) -> Databases:
    rows = databases.of("orchestrateur").outbox
    again = rewritten(rows[place(databases, CREATED, "stock.reserver")], id="another")
    return with_outbox(databases, "orchestrateur", (*rows, again))


def not_received(databases: Databases) -> Databases:
    row = databases.of("orchestrateur").outbox[place(databases, CREATED, "stock.reserver")]
    return without_receipt(databases, "stock", row.identity)


CASES: dict[str, tuple[str, Callable[[Databases], Databases], str]] = {
    "forgotten": ("I3", in_state(CREATED, None), "the orchestrator does not know it"),
    "not ended": ("I3", in_state(CREATED, Instance("RUNNING")), "the orchestrator still has it RUNNING"),
    "waits": ("I3", in_state(REFUSED, Instance("COMPENSATED", True)), "waits for a person"),
    "other end": ("I5", in_state(CREATED, Instance("COMPENSATED")), "creee, and the orchestrator has it"),
    "steps swapped": ("I5", swapped(CREATED, "stock.reserver", "paiement.debiter"), "the steps were asked in"),
    "undone forward": ("I5", swapped(REFUSED, "stock.liberer", "paiement.rembourser"), "the steps were undone in"),
    "too early": ("I5", too_early, "paiement.debiter was said in answer to commande.initiee"),
    "said twice": ("I7", said_twice, "orchestrateur published 2 times: stock.reserver"),
    "not received": ("I6", not_received, "stock never received stock.reserver"),
}


def test_an_orchestrated_history_without_faults_has_no_violation(recorded: Recorded) -> None:
    assert check_invariants(*recorded, WITHOUT_PROCESSES) == []


@pytest.mark.parametrize("name", CASES)
def test_a_planted_violation_is_found(name: str, recorded: Recorded) -> None:
    invariant, corrupt, message = CASES[name]
    history, databases = recorded
    found = [violation.what for violation in CHECKERS[invariant](history, corrupt(databases))]
    assert any(message in what for what in found), found
