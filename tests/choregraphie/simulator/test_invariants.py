"""Each invariant detects its violation: a final state without faults, with one thing changed."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import REASON_HEADER
from choregraphie.simulator import ClientAction, Plan, run_plan
from choregraphie.simulator.queues import Death, Message
from services.scenario import OrderFinalState as FinalState
from services.scenario import plan, violations

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.simulator import Databases

CREATED, CANCELLED = "CMD-1", "CMD-2"


def action(kind: str, order: str, at: float = 0) -> ClientAction:
    event = f"{order}-annulation" if kind == "cancel" else f"{order}-initiee"
    data = {"client_id": "CLIENT-1", "produit_id": "PROD-A", "quantite": 1, "montant": 49.99}
    return ClientAction(at, kind, order, event, data)


@pytest.fixture
def sound(databases: Databases) -> FinalState:
    """The final state of a run without faults: one order created, one created and then cancelled."""
    actions = (action("start", CREATED), action("start", CANCELLED), action("cancel", CANCELLED, at=1.0))
    outcome = run_plan(Plan(1, actions, faults=()), databases)
    assert outcome.found == ()
    state: FinalState = outcome.final_state
    return state


def with_row(service: str, table: str, where: str, **changes: Any) -> Callable[[FinalState], FinalState]:
    """Change the rows that have the value `where`."""

    def change(state: FinalState) -> FinalState:
        tables = copy.deepcopy(dict(state.tables))
        rows = [row for row in tables[service][table] if where in row.values()]
        assert rows
        for row in rows:
            row.update(changes)
        return replace(state, tables=tables)

    return change


def without_row(service: str, table: str, where: str) -> Callable[[FinalState], FinalState]:
    def change(state: FinalState) -> FinalState:
        tables = copy.deepcopy(dict(state.tables))
        kept = [row for row in tables[service][table] if where not in row.values()]
        assert len(kept) < len(tables[service][table])
        tables[service][table] = kept
        return replace(state, tables=tables)

    return change


def twice(service: str, table: str, where: str, **changes: Any) -> Callable[[FinalState], FinalState]:
    def change(state: FinalState) -> FinalState:
        tables = copy.deepcopy(dict(state.tables))
        rows = [row for row in tables[service][table] if where in row.values()]
        assert rows
        tables[service][table] += [{**row, **changes} for row in rows]
        return replace(state, tables=tables)

    return change


def dead(service: str, message: Message) -> Callable[[FinalState], FinalState]:
    return lambda state: replace(state, dead={**state.dead, service: [message]})


def externals(state: FinalState, **changes: Any) -> FinalState:
    return replace(state, externals={**state.externals, **changes})


def charged(state: FinalState) -> FinalState:
    return externals(state, charged={**state.charged, f"paiement:encaisser:{CANCELLED}": Decimal("49.99")})


def charged_otherwise(state: FinalState) -> FinalState:
    return externals(state, charged={key: amount * 100 for key, amount in state.charged.items()})


def charged_under_two_keys(state: FinalState) -> FinalState:
    more = {f"paiement:encore:{CREATED}": amount for amount in state.charged.values()}
    return externals(state, charged={**state.charged, **more})


def sent_again(state: FinalState) -> FinalState:
    more = {f"{key}:encore": mail for key, mail in state.sent.items() if mail.order == CREATED}
    return externals(state, sent={**state.sent, **more})


def other_creation_heard(state: FinalState) -> FinalState:
    (said,) = (message for message in state.history if message.routing_key == "commande.annulee")
    other = replace(said, body=said.body.replace(b'"id":"', b'"id":"x'))
    return replace(state, history=[*state.history, other])


VIOLATIONS: dict[str, tuple[str, Callable[[FinalState], FinalState]]] = {
    "more sold than reserved": ("I1", with_row("stock", "rayons", "PROD-A", vendu=2)),
    "goods that vanish": ("I1", with_row("stock", "rayons", "PROD-A", disponible=998)),
    "an account that lost more than was taken": ("I2", with_row("paiement", "comptes", "CLIENT-1", solde=1)),
    "a charge without a debit": ("I2", charged),
    "a debit of which the gateway knows nothing": ("I2", lambda state: externals(state, charged={})),
    "another charge than the debit": ("I2", charged_otherwise),
    "two charges for one debit": ("I2", charged_under_two_keys),
    "an order that cost another sum": ("I2", with_row("commande", "commandes", CREATED, montant=1)),
    "an order that waits and has no dead letter": (
        "I3",
        with_row("commande", "commandes", CREATED, etat="en_attente"),
    ),
    "an order that the decider forgot": ("I3", without_row("commande", "commandes", CREATED)),
    "an undoing without an answer": ("I3", without_row("paiement", "outbox", "paiement.rembourse")),
    "a customer who is not told": ("I3", without_row("notification", "outbox", CREATED)),
    "a letter that was noted and never left": ("I3", lambda state: externals(state, sent={})),
    "no correction of what was confirmed": ("I3", without_row("notification", "envois", "rectificatif")),
    "a cancellation where a correction is due": (
        "I3",
        with_row("notification", "envois", "rectificatif", modele="annulation"),
    ),
    "two decisions": ("I4", twice("commande", "outbox", "commande.creee", event_id="another")),
    "two decisions heard": ("I4", other_creation_heard),
    "goods kept for a cancelled order": ("I5", with_row("stock", "reservations", CANCELLED, etat="retenue")),
    "money kept for a cancelled order": ("I5", with_row("paiement", "debits", CANCELLED, etat="pris")),
    "an order created and not sold": ("I5", with_row("stock", "reservations", CREATED, etat="retenue")),
    "an event never said": ("I6", with_row("stock", "outbox", "stock.reserve", said_at=None)),
    "an event never heard": ("I6", without_row("paiement", "inbox", "stock.reserve")),
    "an action carried out twice": ("I7", twice("stock", "journal", "reserver", commande_id="CMD-9")),
    "both success and refusal": (
        "I7",
        twice("stock", "outbox", "stock.reserve", type="stock.reservation_echouee", event_id="another"),
    ),
    "a letter that left twice": ("I7", sent_again),
    "a dead letter of other bytes": (
        "I8",
        dead("paiement", Message(b"{}", "paiement.dlx", "x", {REASON_HEADER: "exhausted"})),
    ),
    "a dead letter without a reason": ("I8", dead("paiement", Message(b"{}", "paiement.dlx", "x"))),
    "a failure in a service that cannot fail": (
        "I8",
        dead("stock", Message(b"{}", "stock.dlx", "x", {REASON_HEADER: "exhausted"})),
    ),
    "something left over": ("I10", lambda state: replace(state, remains=["a leaked task"])),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_detected(name: str, sound: FinalState) -> None:
    invariant, change = VIOLATIONS[name]
    found = violations(change(sound))
    assert any(violation.startswith(f"{invariant} ") for violation in found), found


def test_every_invariant_has_a_violation() -> None:
    assert {invariant for invariant, _ in VIOLATIONS.values()} == {f"I{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10)}


def test_an_order_that_needs_a_person_is_exempt_and_no_other(sound: FinalState) -> None:
    (body,) = (m.body for m in sound.history if m.routing_key == "commande.annulee")
    message = Message(body, "paiement.dlx", "commande.annulee", deaths=(Death("", "delivery_limit", "", ""),))
    undecided = with_row("commande", "commandes", CANCELLED, etat="en_attente")
    assert violations(undecided(sound))
    assert violations(dead("paiement", message)(undecided(sound))) == []
    both = with_row("commande", "commandes", CREATED, etat="en_attente")
    assert violations(dead("paiement", message)(both(sound)))


def test_a_run_without_faults_has_no_violation(databases: Databases) -> None:
    assert run_plan(replace(plan(5, 30), faults=()), databases).found == ()
