"""A person gives the answer that a service owes: the saga ends, and the service does nothing more about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.operator_commands import command
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture

SPEAKERS = ("client", "stock", "paiement", "commande")


def settle(saga: SagaFixture, *arguments: str, code: int = 0, **settings: Any) -> str:
    """Run `settle …`; returns what it printed, the errors when it failed."""
    done = command("settle", *arguments, **(saga.settings | settings))
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def half_undone(saga: SagaFixture) -> str:
    """An order that is cancelled, and whose undoing at `paiement` is a dead letter. `paiement` is stopped."""
    broken = saga.start("paiement", gateway_failure_rate=1)
    saga.start("stock", "commande", "notification").await_ready()
    broken.await_ready()
    saga.subscription = saga.foreign_client.subscribe(*(f"{name}.events" for name in SPEAKERS))
    order = saga.order()
    saga.await_events(order, "commande.annulee", "stock.libere")
    until(lambda: saga.foreign_client.count("paiement.dlq") == 2, "the undoing is a dead letter")
    assert broken.end() == 0
    return order


def test_a_settled_undoing_ends_the_saga_and_its_dead_letter_has_no_effect(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    order = half_undone(saga)
    given = ["--undone", "paiement", "--set", "montant=0", "--because", "nothing was taken", "--by", "alice ops"]
    said = json.loads(settle(saga, order, *given, "--json"))["event"]
    published = saga.await_events(order, "paiement.rembourse")
    answer = published["paiement.rembourse"]
    assert (answer.json, answer.exchange) == (said, "paiement.events")
    assert said["source"] == "/services/paiement/operators/alice-ops"
    assert said["data"] == {"commande_id": order, "transaction_id": None, "montant": 0}
    assert said["causationid"] == published["commande.annulee"].json["id"]
    journal = command("journal", order, "--service", "paiement", "--json", **saga.settings)
    states = {entry["action"]: entry["state"] for entry in json.loads(journal.stdout)}
    assert states == {"encaisser": "tombstone", "rembourser": "done"}
    shown = command("outbox", "list", "--json", "--service", "paiement", **saga.settings)
    assert json.loads(shown.stdout) == []

    assert "nothing is missing" in settle(saga, order, *given, code=2)
    saga.start("paiement").await_ready()
    done = command("dlq", "replay", "--all", "--force", "--json", **saga.settings)
    assert json.loads(done.stdout)["effects"] == {"tombstoned": 1, "done": 1}
    saga.await_events(saga.order(), "commande.creee")
    saga.await_events(order)  # each event was published once
    acts = json.loads(command("dlq", "audit", "--json", **saga.settings).stdout)
    assert (acts[0]["act"], acts[0]["by"]) == ("settled", "alice ops")


def test_a_settlement_that_was_not_published_is_published_by_the_worker(stopped_saga: SagaFixture) -> None:
    saga = stopped_saga
    order = half_undone(saga)
    given = ["--undone", "paiement", "--set", "montant=0", "--because", "nothing was taken"]
    settle(saga, order, *given, code=-9, failpoint="after_settlement")
    assert "paiement.rembourse" not in saga.await_events(order)
    saga.start("paiement").await_ready()
    saga.await_events(order, "paiement.rembourse")


def test_a_settled_step_lets_the_saga_go_on_beside_a_running_worker(stopped_saga: SagaFixture) -> None:
    """`stock` has set the order aside unread: nothing was refused, so its answer is only missing."""
    saga = stopped_saga
    saga.start("paiement", "commande", "notification").await_ready()
    saga.subscription = saga.foreign_client.subscribe(*(f"{name}.events" for name in SPEAKERS))
    order = saga.order()
    saga.foreign_client.reject("stock.inbox")
    saga.start("stock").await_ready()
    fields = {"reservation_id": "R-1", "client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2}
    given = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    error = settle(saga, order, "--done", "stock", *given, "--because", "held by hand", code=2)
    assert "montant" in error
    settle(saga, order, "--done", "stock", *given, "--set", "montant=99.99", "--because", "held by hand")
    saga.await_events(order, "stock.reserve", "paiement.effectue", "commande.creee")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--done", "commande"], "decides: nobody settles a decision"),
        (["--undone", "notification"], "has no undoing"),
        (["--undone", "stock"], "has not cancelled"),
        (["--done", "stock", "--set", "nope=1"], "has no field 'nope'"),
        (["--done", "stock", "--set", "nope"], "expected FIELD=VALUE"),
        (["--done", "nowhere"], "invalid choice"),
        ([], "--done"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_settled_is_one_line(
    running_saga: SagaFixture, arguments: list[str], expected: str
) -> None:
    (printed,) = settle(running_saga, "CMD-NEVER", *arguments, "--because", "why not", code=2).splitlines()
    assert expected in printed
