"""Paiement, in a harness with a real database: one debit, one refund, and no balance below zero."""

from decimal import Decimal
from typing import Any

import pytest

from choregraphie.messaging import ContentHeader
from choregraphie.testing import ServiceHarness
from contracts.paiement import PaiementEchoue, PaiementEffectue, PaiementRembourse
from services.paiement import SERVICE
from tests.services.conftest import MakeHarness
from tests.support.event_builders import CMD, annulee, reserve
from tests.support.fake_gateway import FakeGateway

COMPTES = "[comptes]\nCLIENT-123 = 100.00\nCLIENT-999 = 20.00\n"
NOTHING = PaiementRembourse(commande_id=CMD, transaction_id=None, montant=Decimal(0))


@pytest.fixture
def terminal() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def harness(make_harness: MakeHarness, terminal: FakeGateway) -> ServiceHarness:
    return make_harness(SERVICE, COMPTES, terminal)


def solde(harness: ServiceHarness, client_id: str = "CLIENT-123") -> float:
    return float(harness.inspect()["comptes"][client_id]["solde"])


def mouvements(harness: ServiceHarness) -> tuple[Any, ...]:
    found = harness.inspect()["mouvements"]
    return tuple((found[kind]["nombre"], found[kind]["montant"]) for kind in ("debits", "remboursements"))


def test_money_is_taken_for_goods_held(harness: ServiceHarness, terminal: FakeGateway) -> None:
    (said,) = harness.hear(reserve(montant="99.99"))
    assert isinstance(said, PaiementEffectue)
    assert (said.montant, said.commande_id) == (Decimal("99.99"), CMD)
    assert solde(harness) == 0.01
    assert list(terminal.charged.values()) == [Decimal("99.99")]


def test_the_whole_balance_can_be_spent_and_not_a_cent_more(harness: ServiceHarness) -> None:
    harness.hear(reserve("A", montant="100.00"))
    harness.hear(reserve("B", montant="0.01"))
    assert harness.said == ["paiement.effectue", "paiement.echoue"]
    assert solde(harness) == 0


def test_an_insufficient_balance_is_a_refusal_and_the_card_is_not_charged(
    harness: ServiceHarness, terminal: FakeGateway
) -> None:
    (said,) = harness.hear(reserve(client_id="CLIENT-999", montant="49.99"))
    assert said == PaiementEchoue(commande_id=CMD, raison="solde insuffisant")
    assert terminal.asked == []
    assert solde(harness, "CLIENT-999") == 20


def test_an_unknown_client_is_a_refusal(harness: ServiceHarness, terminal: FakeGateway) -> None:
    (said,) = harness.hear(reserve(client_id="CLIENT-000"))
    assert said == PaiementEchoue(commande_id=CMD, raison="client inconnu")
    assert terminal.asked == []


def test_a_refused_card_is_a_refusal(make_harness: MakeHarness) -> None:
    harness = make_harness(SERVICE, COMPTES, FakeGateway(["refuses"]))
    (said,) = harness.hear(reserve())
    assert said == PaiementEchoue(commande_id=CMD, raison="carte refusée")
    assert solde(harness) == 100


def test_a_gateway_that_does_not_answer_is_asked_again_with_the_same_key(make_harness: MakeHarness) -> None:
    terminal = FakeGateway(["silent", "accepts"])
    harness = make_harness(SERVICE, COMPTES, terminal)
    order = harness.enveloped(reserve())
    assert harness.hear(order, tolerate=True) == []
    assert solde(harness) == 100
    assert [type(said) for said in harness.hear(order)] == [PaiementEffectue]
    assert terminal.asked == [terminal.asked[0]] * 2


def test_a_lost_answer_of_the_gateway_does_not_charge_twice(make_harness: MakeHarness) -> None:
    terminal = FakeGateway(["loses the answer", "accepts"])
    harness = make_harness(SERVICE, COMPTES, terminal)
    order = harness.enveloped(reserve(montant="60.00"))
    harness.hear(order, tolerate=True)
    harness.hear(order)
    assert list(terminal.charged.values()) == [Decimal("60.00")]
    assert mouvements(harness) == ((1, 60.0), (0, 0))


def test_a_cancellation_takes_back_a_charge_whose_answer_was_lost(make_harness: MakeHarness) -> None:
    terminal = FakeGateway(["loses the answer"])
    harness = make_harness(SERVICE, COMPTES, terminal)
    harness.hear(reserve(), tolerate=True)
    assert terminal.charged
    assert harness.hear(annulee()) == [NOTHING]
    assert terminal.charged == {}
    assert harness.hear(reserve()) == []
    assert (terminal.charged, solde(harness)) == ({}, 100)


def test_a_debit_given_up_is_a_refusal_and_a_late_retry_does_nothing(make_harness: MakeHarness) -> None:
    terminal = FakeGateway(["loses the answer"])
    harness = make_harness(SERVICE, COMPTES, terminal, retry_delays=(1,))
    order = harness.enveloped(reserve())
    header = ContentHeader({"x-saga-attempt": 1, "x-saga-exchange": "stock.events"})
    harness.hear(order, tolerate=True)
    again = harness.delivery(order)._replace(exchange="paiement.requeue", header=header)
    said = harness.deliver(again, tolerate=True)
    assert [type(event) for event in said] == [PaiementEchoue]
    assert harness.hear(reserve()) == []
    assert harness.hear(annulee()) == [NOTHING]
    assert (terminal.charged, solde(harness)) == ({}, 100)


def test_a_balance_is_checked_again_at_the_commit(harness: ServiceHarness, terminal: FakeGateway) -> None:
    """Both are within the balance when the gateway is asked; at the commit there is room for one."""
    harness.hear(reserve("A", montant="70.00"), reserve("B", montant="70.00"))
    assert harness.said == ["paiement.effectue", "paiement.echoue"]
    assert solde(harness) == 30
    assert len(terminal.charged) == 2


def test_a_cancellation_takes_back_a_charge_that_the_database_refused(
    harness: ServiceHarness, terminal: FakeGateway
) -> None:
    harness.hear(reserve("A", montant="70.00"), reserve("B", montant="70.00"))
    (said,) = harness.hear(annulee("B"))
    assert said == PaiementRembourse(commande_id="B", transaction_id=None, montant=Decimal(0))
    assert list(terminal.charged) == [terminal.asked[0]]
    assert (solde(harness), mouvements(harness)) == (30, ((1, 70.0), (0, 0)))


def test_a_refund_restores_the_balance_and_the_card(harness: ServiceHarness, terminal: FakeGateway) -> None:
    (taken,) = harness.hear(reserve(montant="99.99"))
    assert isinstance(taken, PaiementEffectue)
    refund = PaiementRembourse(commande_id=CMD, transaction_id=taken.transaction_id, montant=Decimal("99.99"))
    assert harness.hear(annulee()) == [refund]
    assert (solde(harness), terminal.charged) == (100, {})
    assert mouvements(harness) == ((1, 99.99), (1, 99.99))


def test_a_cancellation_without_a_debit_is_answered(harness: ServiceHarness) -> None:
    harness.hear(reserve(client_id="CLIENT-999"))
    assert harness.hear(annulee()) == [NOTHING]


def test_a_cancellation_that_overtakes_the_debit_wins(harness: ServiceHarness, terminal: FakeGateway) -> None:
    assert harness.hear(annulee()) == [NOTHING]
    assert harness.hear(reserve()) == []
    assert (solde(harness), terminal.charged, terminal.asked) == (100, {}, [])


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_debit_and_its_cancellation_in_one_group_leave_no_money_taken(
    harness: ServiceHarness, terminal: FakeGateway, cancelled_first: bool
) -> None:
    harness.hear(*((annulee(), reserve()) if cancelled_first else (reserve(), annulee())))
    assert (solde(harness), terminal.charged) == (100, {})
    assert harness.said.count("paiement.rembourse") == 1


def test_a_repeated_event_takes_no_money_and_is_not_answered_again(
    harness: ServiceHarness, terminal: FakeGateway
) -> None:
    order = harness.enveloped(reserve(montant="10.00"))
    harness.hear(order, order)
    harness.hear(order)
    assert harness.said == ["paiement.effectue"]
    assert (solde(harness), list(terminal.charged.values())) == (90, [Decimal("10.00")])


def test_a_second_hold_for_the_same_order_takes_nothing(harness: ServiceHarness) -> None:
    harness.hear(reserve(montant="10.00"))
    assert harness.hear(reserve(montant="10.00")) == []
    assert solde(harness) == 90


def test_a_second_cancellation_refunds_nothing_twice(harness: ServiceHarness) -> None:
    harness.hear(reserve(montant="10.00"))
    harness.hear(annulee(), annulee())
    assert harness.hear(annulee()) == []
    assert (solde(harness), mouvements(harness)) == (100, ((1, 10.0), (1, 10.0)))


def test_many_debits_of_one_account_in_one_group_add_up(harness: ServiceHarness) -> None:
    harness.hear(*(reserve(f"C-{n}", montant="9.09") for n in range(20)))
    assert harness.said.count("paiement.effectue") == 11
    assert solde(harness) == 0.01
