"""Each invariant is noticed when it does not hold: sane facts, with one thing wrong at a time."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import REASON_HEADER
from choregraphie.simulator import Plan, walk
from choregraphie.simulator.queues import Death, Message
from services.scenario import OrderFinalState as Facts
from services.scenario import plan
from services.scenario.invariants import violations
from services.scenario.workload import Act

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.simulator import Books

BOUGHT, CANCELLED = "CMD-1", "CMD-2"


def act(kind: str, order: str, at: float = 0) -> Act:
    event = f"{order}-annulation" if kind == "cancel" else f"{order}-initiee"
    return Act(at, kind, order, event, "CLIENT-1", "PROD-A", 1, "49.99")


@pytest.fixture
def sane(books: Books) -> Facts:
    """One order bought, one bought and cancelled; no fault strikes."""
    acts = (act("order", BOUGHT), act("order", CANCELLED), act("cancel", CANCELLED, at=1.0))
    outcome = walk(Plan(1, acts, faults=()), books)
    assert outcome.found == ()
    facts: Facts = outcome.facts
    return facts


def with_row(service: str, table: str, where: str, **changes: Any) -> Callable[[Facts], Facts]:
    """Change the rows of which some value is `where`."""

    def change(facts: Facts) -> Facts:
        tables = copy.deepcopy(dict(facts.tables))
        rows = [row for row in tables[service][table] if where in row.values()]
        assert rows
        for row in rows:
            row.update(changes)
        return replace(facts, tables=tables)

    return change


def without_row(service: str, table: str, where: str) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        tables = copy.deepcopy(dict(facts.tables))
        kept = [row for row in tables[service][table] if where not in row.values()]
        assert len(kept) < len(tables[service][table])
        tables[service][table] = kept
        return replace(facts, tables=tables)

    return change


def twice(service: str, table: str, where: str, **changes: Any) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        tables = copy.deepcopy(dict(facts.tables))
        rows = [row for row in tables[service][table] if where in row.values()]
        assert rows
        tables[service][table] += [{**row, **changes} for row in rows]
        return replace(facts, tables=tables)

    return change


def dead(service: str, letter: Message) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, dead={**facts.dead, service: [letter]})


def externals(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, externals={**facts.externals, **changes})


def charged(facts: Facts) -> Facts:
    return externals(facts, charged={**facts.charged, f"paiement:encaisser:{CANCELLED}": Decimal("49.99")})


def charged_otherwise(facts: Facts) -> Facts:
    return externals(facts, charged={key: amount * 100 for key, amount in facts.charged.items()})


def charged_under_two_keys(facts: Facts) -> Facts:
    more = {f"paiement:encore:{BOUGHT}": amount for amount in facts.charged.values()}
    return externals(facts, charged={**facts.charged, **more})


def sent_again(facts: Facts) -> Facts:
    more = {f"{key}:encore": mail for key, mail in facts.sent.items() if mail.order == BOUGHT}
    return externals(facts, sent={**facts.sent, **more})


def other_creation_heard(facts: Facts) -> Facts:
    (said,) = (message for message in facts.history if message.routing_key == "commande.annulee")
    other = replace(said, body=said.body.replace(b'"id":"', b'"id":"x'))
    return replace(facts, history=[*facts.history, other])


PATHOLOGICAL: dict[str, tuple[str, Callable[[Facts], Facts]]] = {
    "more sold than reserved": ("I1", with_row("stock", "rayons", "PROD-A", vendu=2)),
    "goods that vanish": ("I1", with_row("stock", "rayons", "PROD-A", disponible=998)),
    "an account that lost more than was taken": ("I2", with_row("paiement", "comptes", "CLIENT-1", solde=1)),
    "a charge that nobody knows of": ("I2", charged),
    "a debit of which the gateway knows nothing": ("I2", lambda facts: externals(facts, charged={})),
    "another charge than the debit": ("I2", charged_otherwise),
    "two charges for one debit": ("I2", charged_under_two_keys),
    "an order that cost another sum": ("I2", with_row("commande", "commandes", BOUGHT, montant=1)),
    "an order that waits for nobody": ("I3", with_row("commande", "commandes", BOUGHT, etat="en_attente")),
    "an order that the decider forgot": ("I3", without_row("commande", "commandes", BOUGHT)),
    "an undoing without an answer": ("I3", without_row("paiement", "outbox", "paiement.rembourse")),
    "a customer who is not told": ("I3", without_row("notification", "outbox", BOUGHT)),
    "a letter that was noted and never left": ("I3", lambda facts: externals(facts, sent={})),
    "no correction of what was confirmed": ("I3", without_row("notification", "envois", "rectificatif")),
    "a cancellation where a correction is due": (
        "I3",
        with_row("notification", "envois", "rectificatif", modele="annulation"),
    ),
    "two decisions": ("I4", twice("commande", "outbox", "commande.creee", event_id="another")),
    "two decisions heard": ("I4", other_creation_heard),
    "goods kept for a cancelled order": ("I5", with_row("stock", "reservations", CANCELLED, etat="retenue")),
    "money kept for a cancelled order": ("I5", with_row("paiement", "debits", CANCELLED, etat="pris")),
    "an order created and not sold": ("I5", with_row("stock", "reservations", BOUGHT, etat="retenue")),
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
    "something left over": ("I10", lambda facts: replace(facts, remains=["a leaked task"])),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_what_is_wrong_is_noticed(name: str, sane: Facts) -> None:
    invariant, change = PATHOLOGICAL[name]
    found = violations(change(sane))
    assert any(violation.startswith(f"{invariant} ") for violation in found), found


def test_every_invariant_has_its_pathology() -> None:
    assert {invariant for invariant, _ in PATHOLOGICAL.values()} == {f"I{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10)}


def test_an_order_that_needs_a_person_is_excused_and_no_other(sane: Facts) -> None:
    (body,) = (m.body for m in sane.history if m.routing_key == "commande.annulee")
    letter = Message(body, "paiement.dlx", "commande.annulee", deaths=(Death("", "delivery_limit", "", ""),))
    undecided = with_row("commande", "commandes", CANCELLED, etat="en_attente")
    assert violations(undecided(sane))
    assert violations(dead("paiement", letter)(undecided(sane))) == []
    both = with_row("commande", "commandes", BOUGHT, etat="en_attente")
    assert violations(dead("paiement", letter)(both(sane)))


def test_a_quiet_run_of_many_orders_is_sane(books: Books) -> None:
    assert walk(replace(plan(5, 30), faults=()), books).found == ()
