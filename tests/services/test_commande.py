"""Commande, in a harness with a real database: it decides each order once."""

import datetime as dt
import itertools

import pytest

from choregraphie.saga.envelope import Event
from choregraphie.storage.schedules import PUT_OFF
from choregraphie.testing import ServiceHarness
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.paiement import PaiementEchoue
from contracts.stock import StockReservationEchouee
from services.commande import SERVICE
from services.commande.store import Commande
from tests.services.conftest import MakeHarness
from tests.support.event_builders import CMD, demande, impayee, initiee, payee, sans_stock

CLIENTS = '[clients]\nbloques = ["CLIENT-666"]\n[clients.plafonds]\nCLIENT-456 = 150.00\n'


@pytest.fixture
def harness(make_harness: MakeHarness) -> ServiceHarness:
    return make_harness(SERVICE, CLIENTS, deadline=900)


def etats(harness: ServiceHarness) -> tuple[int, int, int]:
    """The counts en_attente, creees, annulees."""
    found = harness.inspect()["commandes"]
    return found["en_attente"], found["creees"], found["annulees"]


def test_a_new_order_waits(harness: ServiceHarness) -> None:
    assert harness.hear(initiee()) == []
    assert etats(harness) == (1, 0, 0)


def test_an_order_paid_is_created(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    assert harness.hear(payee()) == [CommandeCreee(commande_id=CMD)]
    assert etats(harness) == (0, 1, 0)


@pytest.mark.parametrize("refusal", [sans_stock(), impayee()])
def test_a_refusal_cancels_the_order_with_its_reason(
    harness: ServiceHarness, refusal: StockReservationEchouee | PaiementEchoue
) -> None:
    harness.hear(initiee())
    said = harness.hear(refusal)
    assert said == [CommandeAnnulee(commande_id=CMD, raison=refusal.raison)]
    assert etats(harness) == (0, 0, 1)


def test_a_blocked_client_is_refused_at_creation(harness: ServiceHarness) -> None:
    harness.hear(initiee(client_id="CLIENT-666"))
    assert harness.hear(payee()) == [CommandeAnnulee(commande_id=CMD, raison="client bloqué")]


def test_the_customer_cancels_before_creation_and_a_late_payment_creates_nothing(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    assert harness.hear(demande()) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]
    assert harness.hear(payee()) == []
    assert etats(harness) == (0, 0, 1)


def test_the_customer_cancels_after_creation(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    harness.hear(payee())
    assert harness.hear(demande()) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]
    assert etats(harness) == (0, 0, 1)


def test_a_cancellation_request_before_its_order_is_kept_and_cancels_it(harness: ServiceHarness) -> None:
    assert harness.hear(demande()) == []
    assert etats(harness) == (0, 0, 0)
    assert harness.hear(initiee()) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]


@pytest.mark.parametrize("early", [sans_stock(), impayee()])
def test_a_refusal_before_the_order_is_kept(harness: ServiceHarness, early: Event) -> None:
    assert harness.hear(early) == []
    assert [type(event) for event in harness.hear(initiee())] == [CommandeAnnulee]


def test_a_payment_before_its_order_is_kept_and_creates_it(harness: ServiceHarness) -> None:
    assert harness.hear(payee()) == []
    assert harness.hear(initiee()) == [CommandeCreee(commande_id=CMD)]


def test_a_payment_before_the_order_of_a_blocked_client_cancels_it(harness: ServiceHarness) -> None:
    harness.hear(payee())
    said = harness.hear(initiee(client_id="CLIENT-666"))
    assert said == [CommandeAnnulee(commande_id=CMD, raison="client bloqué")]


HEARD: dict[str, Event] = {
    "initiee": initiee(),
    "demande": demande(),
    "payee": payee(),
    "impayee": impayee(),
    "sans_stock": sans_stock(),
}
CASES = [
    order
    for extra in [(), ("demande",), ("impayee",), ("sans_stock",), ("demande", "impayee")]
    for order in itertools.permutations(["initiee", "payee", *extra])
]


@pytest.mark.parametrize("order", CASES, ids="-".join)
@pytest.mark.parametrize("together", [True, False])
def test_in_any_order_of_arrival_each_decision_is_taken_at_most_once(
    harness: ServiceHarness, order: tuple[str, ...], together: bool
) -> None:
    facts = [HEARD[name] for name in order]
    for group in [facts] if together else [[fact] for fact in facts]:
        harness.hear(*group)
    cancelled = len(order) > 2
    assert etats(harness) == ((0, 0, 1) if cancelled else (0, 1, 0))
    assert harness.said.count("commande.annulee") == int(cancelled)
    assert harness.said.count("commande.creee") <= 1
    assert harness.said in (["commande.creee", "commande.annulee"], harness.said[:1])


def test_the_deadline_cancels_what_still_waits(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    assert harness.tick(899) == []
    assert harness.tick(1) == [CommandeAnnulee(commande_id=CMD, raison="délai dépassé")]
    assert harness.tick(1000) == []
    assert etats(harness) == (0, 0, 1)


def test_the_deadline_names_the_order_as_its_cause(harness: ServiceHarness) -> None:
    harness.hear(harness.enveloped(initiee(), id="the-order"))
    harness.tick(900)
    assert [(e.type, e.causationid) for e in harness.envelopes] == [("commande.annulee", "the-order")]


def test_a_success_and_the_deadline_at_the_same_instant_do_not_both_decide(
    harness: ServiceHarness,
) -> None:
    harness.hear(initiee("A"), initiee("B"))
    harness.now += dt.timedelta(seconds=900)
    harness.hear(payee("A"))
    harness.tick()
    harness.hear(payee("B"))
    assert [(e.type, e.key) for e in harness.envelopes] == [
        ("commande.creee", "A"),
        ("commande.annulee", "B"),
    ]


@pytest.mark.parametrize(
    ("heard", "raison"),
    [(payee(), "délai dépassé"), (impayee(), "solde insuffisant"), (sans_stock(), "stock insuffisant")],
)
def test_an_order_known_only_from_a_service_is_cancelled_at_its_deadline(
    harness: ServiceHarness, heard: Event, raison: str
) -> None:
    """Its `commande.initiee` may be lost for good; the steps of the other services are undone all the same."""
    harness.hear(harness.enveloped(heard, id="the-first-word"))
    assert harness.tick(899) == []
    assert harness.tick(1) == [CommandeAnnulee(commande_id=CMD, raison=raison)]
    assert harness.envelopes[0].causationid == "the-first-word"
    assert harness.tick(1000) == []
    assert etats(harness) == (0, 0, 1)


@pytest.mark.parametrize("heard", [payee(), impayee(), sans_stock()])
def test_an_order_that_comes_after_the_deadline_of_what_overtook_it_stays_cancelled(
    harness: ServiceHarness, heard: Event
) -> None:
    harness.hear(heard)
    harness.tick(900)
    assert harness.hear(initiee()) == []
    assert harness.tick(10_000) == []
    assert etats(harness) == (0, 0, 1)


def test_an_order_that_comes_in_time_after_its_payment_is_created(harness: ServiceHarness) -> None:
    harness.hear(payee())
    assert harness.tick(899) == []
    assert harness.hear(initiee()) == [CommandeCreee(commande_id=CMD)]
    assert harness.tick(10_000) == []


def test_the_first_event_of_a_service_starts_the_deadline_and_later_ones_do_not_move_it(
    harness: ServiceHarness,
) -> None:
    harness.hear(demande())
    harness.hear(harness.enveloped(payee(), id="the-first-word"))
    harness.tick(600)
    harness.hear(impayee())
    assert harness.tick(300) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]
    assert harness.envelopes[0].causationid == "the-first-word"


def test_a_cancellation_request_alone_has_no_deadline(harness: ServiceHarness) -> None:
    harness.hear(demande())
    assert harness.tick(10_000) == []
    assert harness.hear(initiee()) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]


def test_a_clock_that_goes_backward_cancels_no_order(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    assert harness.tick(-3600) == []
    assert etats(harness) == (1, 0, 0)


def test_a_row_that_fails_does_not_block_the_other_deadlines(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    passer = Commande.passer

    def breaking(commande: Commande, de: tuple[str, ...], a: str) -> bool:
        if commande.commande_id == "B" and a == "annulee":
            raise ValueError("this one breaks")
        return passer(commande, de, a)

    harness.hear(*(initiee(name) for name in "ABC"))
    monkeypatch.setattr(Commande, "passer", breaking)
    harness.tick(900)
    assert [envelope.key for envelope in harness.envelopes] == ["A", "C"]
    monkeypatch.undo()
    harness.tick(PUT_OFF.seconds)
    assert [envelope.key for envelope in harness.envelopes] == ["A", "C", "B"]


def test_many_deadlines_pass_at_once(harness: ServiceHarness) -> None:
    harness.hear(*(initiee(f"C-{n}") for n in range(250)))
    harness.tick(900)
    harness.tick(1)
    assert harness.said.count("commande.annulee") == 250
    assert etats(harness) == (0, 0, 250)


def test_a_ceiling_counts_what_was_created_and_not_cancelled(harness: ServiceHarness) -> None:
    for name in "AB":
        harness.hear(initiee(name, client_id="CLIENT-456", montant="100.00"), payee(name, montant="100.00"))
    assert harness.said == ["commande.creee", "commande.annulee"]
    assert harness.envelopes[1].data.model_dump()["raison"] == "plafond dépassé : 150.00"


def test_a_cancellation_makes_room_below_the_ceiling(harness: ServiceHarness) -> None:
    harness.hear(
        initiee("A", client_id="CLIENT-456", montant="100.00"), payee("A", montant="100.00"), demande("A")
    )
    harness.hear(initiee("B", client_id="CLIENT-456", montant="150.00"), payee("B", montant="150.00"))
    assert harness.said == ["commande.creee", "commande.annulee", "commande.creee"]


def test_an_order_cancelled_before_creation_does_not_change_the_count_of_the_ceiling(
    harness: ServiceHarness,
) -> None:
    harness.hear(initiee("A", client_id="CLIENT-456", montant="100.00"), demande("A"))
    harness.hear(initiee("B", client_id="CLIENT-456", montant="150.01"), payee("B", montant="150.01"))
    assert harness.said == ["commande.annulee", "commande.annulee"]


def test_the_ceiling_holds_within_one_group(harness: ServiceHarness) -> None:
    harness.hear(*(initiee(f"C-{n}", client_id="CLIENT-456", montant="40.00") for n in range(5)))
    harness.hear(*(payee(f"C-{n}", montant="40.00") for n in range(5)))
    assert harness.said == ["commande.creee"] * 3 + ["commande.annulee"] * 2


def test_a_repetition_decides_nothing_again(harness: ServiceHarness) -> None:
    order, paid = harness.enveloped(initiee()), harness.enveloped(payee())
    harness.hear(order, order, paid, paid)
    harness.hear(order, paid)
    assert harness.said == ["commande.creee"]


def test_a_second_order_with_a_known_id_changes_nothing(harness: ServiceHarness) -> None:
    harness.hear(initiee(client_id="CLIENT-123"))
    harness.hear(initiee(client_id="CLIENT-666"))
    assert harness.hear(payee()) == [CommandeCreee(commande_id=CMD)]


@pytest.mark.parametrize("paid_first", [True, False])
def test_two_orders_racing_under_one_id_are_cancelled_when_the_other_one_was_paid(
    harness: ServiceHarness, paid_first: bool
) -> None:
    facts: list[Event] = [initiee(montant="10.00"), payee(montant="99.99")]
    harness.hear(*(reversed(facts) if paid_first else facts))
    assert harness.said == ["commande.annulee"]
    assert harness.envelopes[0].data.model_dump()["raison"] == "montant payé 99.99, commandé 10.00"
    assert etats(harness) == (0, 0, 1)


def test_a_second_order_with_the_id_of_a_cancelled_one_stays_cancelled(harness: ServiceHarness) -> None:
    harness.hear(initiee(), demande())
    assert harness.hear(initiee(), payee()) == []
    assert etats(harness) == (0, 0, 1)


def test_the_cause_of_a_decision_is_the_event_that_settled_it(harness: ServiceHarness) -> None:
    harness.hear(harness.enveloped(payee(), id="paid"))
    harness.hear(harness.enveloped(initiee(), id="ordered"))
    assert [e.causationid for e in harness.envelopes] == ["ordered"]
